import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.pytorch.serve.archive.utils.ZipUtils;

/** Extracts an archive as TorchServe does, from its front, and by its directory, as the rest of Java does. */
class Extract {
    public static void main(String[] arguments) throws Exception {
        Path archive = Path.of(arguments[0]);
        try (InputStream stream = Files.newInputStream(archive)) {
            ZipUtils.unzip(stream, Path.of(arguments[1]).toFile());
        }
        try (ZipFile directory = new ZipFile(archive.toFile())) {
            for (ZipEntry entry : Collections.list(directory.entries())) {
                Path path = Path.of(arguments[2], entry.getName());
                Files.createDirectories(path.getParent());
                Files.copy(directory.getInputStream(entry), path);
            }
        }
    }
}
