import { expect, it } from "vitest";
import { PartialJson } from "../src/objects/partial-json.js";

/** What there is after each character that brings something. */
function growing(text: string): unknown[] {
  const json = new PartialJson();
  return text.split("").flatMap((unit) => (json.add(unit) ? [json.value] : []));
}

it("lets a text grow, and shows a number or a word only when it is whole", () => {
  expect(growing('{"a": "Hi", "b": 12, "c":true}')).toEqual([
    {},
    { a: "" },
    { a: "H" },
    { a: "Hi" },
    { a: "Hi" },
    { a: "Hi", b: 12 },
    { a: "Hi", b: 12, c: true },
  ]);
});

it("closes the lists and objects that are open", () => {
  expect(growing('[[1,{"a":["x')).toEqual([
    [],
    [[]],
    [[1]],
    [[1, {}]],
    [[1, { a: [] }]],
    [[1, { a: [""] }]],
    [[1, { a: ["x"] }]],
  ]);
});

it("shows no half of an escape, and no half of a character", () => {
  const escaped = JSON.stringify(['"\\', "\n"]).replace("]", ',"\\ud83d\\ude00"]');
  for (const value of growing(escaped)) {
    expect(["", '"', '"\\']).toContain((value as string[])[0] ?? "");
    expect(["", "\u{1f600}"]).toContain((value as string[])[2] ?? "");
  }
  expect(growing(escaped).at(-1)).toEqual(['"\\', "\n", "\u{1f600}"]);
});

it("keeps a key that would be a prototype as a key", () => {
  expect(Object.keys(growing('{"__proto__":{"a":1}}').at(-1) as object)).toEqual(["__proto__"]);
});

const DOCUMENTS = [
  {
    text: 'a "quoted" \\ {text}, with: [signs]',
    list: [1, -2.5e10, true, false, null, "", {}, []],
    deep: [[[{ a: [{}] }]]],
  },
  ["only", ["lists"]],
  "a text",
  "",
  {},
];

it.each(DOCUMENTS)("ends with the value itself, however it is cut and written: %j", (document) => {
  for (const text of [JSON.stringify(document), JSON.stringify(document, null, 2)]) {
    for (let cut = 0; cut <= text.length; cut += 1) {
      const json = new PartialJson();
      json.add(text.slice(0, cut));
      if (json.value !== undefined) expect(JSON.stringify(json.value).length).toBeLessThanOrEqual(text.length);
      json.add(text.slice(cut));
      expect(json.value).toEqual(document);
    }
  }
});

it("has no value for what is no JSON", () => {
  const json = new PartialJson();
  expect(json.value).toBeUndefined();
  json.add('[1 2,"');
  expect(json.value).toBeUndefined();
});
