import { parseJson } from "../contract.js";

const LITERAL = /[^\s,:[\]{}"]/;
const HALF_OF_A_CHARACTER = /^u[dD][89abAB]/;

/**
 * What there is so far of JSON that is being written. Texts grow; numbers, `true`, `false` and `null` are left out until
 * they are whole, as their beginnings would be other values, and so are keys until there is something of their values.
 */
export class PartialJson {
  #text = "";
  /** How much of the text stands for a value, and what is missing at its end. */
  #taken = 0;
  #missing = "";
  /** What closes the objects and lists that are open, the innermost first. */
  #closers = "";
  #isInText = false;
  #isKey = false;
  #isInLiteral = false;
  /** What follows a backslash, as far as it has come. */
  #escape: string | undefined;

  get length(): number {
    return this.#text.length;
  }

  /** Whether there is more of the value now. */
  add(text: string): boolean {
    const before = this.#taken;
    let position = this.#text.length;
    this.#text += text;
    for (const unit of text.split("")) {
      if (this.#isInText) this.#readText(unit, position);
      else this.#readStructure(unit, position);
      position += 1;
    }
    return this.#taken > before;
  }

  /** Undefined where there is nothing yet, or no JSON. */
  get value(): unknown {
    return parseJson(this.#text.slice(0, this.#taken) + this.#missing);
  }

  #readText(unit: string, position: number): void {
    if (this.#escape !== undefined) {
      this.#escape += unit;
      if (this.#escape.length < (this.#escape[0] === "u" ? 5 : 1)) return;
      const isHalf = HALF_OF_A_CHARACTER.test(this.#escape);
      this.#escape = undefined;
      if (isHalf) return;
    } else if (unit === "\\") {
      this.#escape = "";
      return;
    } else if (unit === '"') this.#isInText = false;
    if (!this.#isKey) this.#take(position + 1, this.#isInText ? '"' : "");
  }

  #readStructure(unit: string, position: number): void {
    if (this.#isInLiteral && !LITERAL.test(unit)) {
      this.#isInLiteral = false;
      this.#take(position, "");
    }
    if (unit === '"') {
      this.#isInText = true;
      if (!this.#isKey) this.#take(position + 1, '"');
    } else if (unit === "{" || unit === "[") {
      this.#closers = (unit === "{" ? "}" : "]") + this.#closers;
      this.#isKey = unit === "{";
      this.#take(position + 1, "");
    } else if (unit === "}" || unit === "]") {
      this.#closers = this.#closers.slice(1);
      this.#isKey = false;
      this.#take(position + 1, "");
    } else if (unit === ":") this.#isKey = false;
    else if (unit === ",") this.#isKey = this.#closers[0] === "}";
    else if (LITERAL.test(unit)) this.#isInLiteral = true;
  }

  #take(end: number, quote: string): void {
    this.#taken = end;
    this.#missing = quote + this.#closers;
  }
}
