import { InvalidInput } from "@flowtriq/services/errors";

/** JSON from a stranger. Text that Postgres cannot hold (NUL, half of a surrogate pair) is refused here: it can only come by an escape. */
export function parseBody(text: string): unknown {
  try {
    return text.includes("\\u") ? JSON.parse(text, onlyStorable) : JSON.parse(text);
  } catch (error) {
    throw error instanceof InvalidInput ? error : new InvalidInput("The body is not JSON.");
  }
}

function onlyStorable(_key: string, value: unknown): unknown {
  const texts =
    typeof value === "string" ? [value] : value !== null && typeof value === "object" ? Object.keys(value) : [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for.
  if (texts.some((text) => /[\u0000\ud800-\udfff]/u.test(text)))
    throw new InvalidInput("The body holds text that is not Unicode.");
  return value;
}
