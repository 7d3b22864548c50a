import { Playground } from "../components/playground";

export default function Page() {
  return (
    <main>
      <header className="masthead">
        <h1>Torchbridge</h1>
        <p>A PyTorch model behind TorchServe, word by word.</p>
      </header>
      <Playground />
    </main>
  );
}
