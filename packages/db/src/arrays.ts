/**
 * A Postgres array literal for `unnest(${…}::text[])`: one parameter, however many values. JSON quotes an element as an array
 * literal does, as long as the text has no control characters; those are taken out.
 */
export const textArray = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? "null" : JSON.stringify(value.replace(CONTROLS, " ")))).join()}}`;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what JSON would write as an escape of its own.
const CONTROLS = /[\u0000-\u001f\ud800-\udfff]/gu;
