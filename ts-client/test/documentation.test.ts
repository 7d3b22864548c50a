import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, it } from "vitest";

const CONFIG = fileURLToPath(new URL("../tsconfig.json", import.meta.url));

// What the contract itself says of its fields is written in adapter/schema.
const isGenerated = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some(({ parent }) => parent.getSourceFile().fileName.endsWith(".gen.ts")) ?? false;

const DOORS = ["index", "react", "next", "objects", "chat", "tools", "resume", "ai-sdk"];
const pathOf = (door: string): string => fileURLToPath(new URL(`../src/${door}.ts`, import.meta.url));
const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(CONFIG, ts.sys.readFile).config, ts.sys, "..");
const program = ts.createProgram(DOORS.map(pathOf), options);
const checker = program.getTypeChecker();

it.each(DOORS)("says of everything that %s exports what it is", (door) => {
  const entry = program.getSourceFile(pathOf(door));
  const module = entry && checker.getSymbolAtLocation(entry);
  const silent: string[] = [];
  let seen = 0;
  const look = (symbol: ts.Symbol, name: string): void => {
    seen += 1;
    if (symbol.getDocumentationComment(checker).length === 0) silent.push(name);
  };
  for (const exported of module ? checker.getExportsOfModule(module) : []) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (isGenerated(symbol)) continue;
    look(symbol, symbol.name);
    for (const member of symbol.members?.values() ?? []) {
      const isOpen = member.declarations?.some(
        (declaration) =>
          (ts.isPropertyDeclaration(declaration) ||
            ts.isPropertySignature(declaration) ||
            ts.isMethodDeclaration(declaration)) &&
          !ts.isPrivateIdentifier(declaration.name),
      );
      if (isOpen) look(member, `${symbol.name}.${member.name}`);
    }
  }
  expect(silent).toEqual([]);
  expect(seen).toBeGreaterThan(0);
});
