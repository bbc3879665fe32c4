/** Options of an OpenVPN process by name, each with the parameters of its last mention. */
export type OpenvpnOptions = Map<string, string[]>;

/** What others name in their settings is bounded: files that include each other, and lines without end. */
const MAX_FILES = 16;
const MAX_LINES = 20_000;
const MAX_PARAMETERS = 16;

/**
 * Reads a command line and the configuration files that it names (openvpn(8): a lone argument is a file, `--name` begins an
 * option in both). `read` gives a file's text; undefined: it cannot be read, and then `complete` is false.
 */
export function openvpnOptions(
  argv: string[],
  read: (file: string) => string | undefined,
): { options: OpenvpnOptions; complete: boolean } {
  const options: OpenvpnOptions = new Map();
  let [files, complete] = [0, true];
  const include = (file: string | undefined) => {
    files += 1;
    const text = file === undefined || files > MAX_FILES ? undefined : read(file);
    if (text === undefined) complete = false;
    else for (const words of optionLines(text)) take(words);
  };
  const take = ([word = "", ...parameters]: string[]) => {
    const name = word.replace(/^--/, "");
    if (name === "config") include(parameters[0]);
    else options.set(name, parameters.slice(0, MAX_PARAMETERS));
  };
  const words = argv.slice(1);
  if (words.length === 1 && !words[0]!.startsWith("--")) include(words[0]);
  else for (const option of optionsOf(words)) take(option);
  return { options, complete };
}

function optionsOf(words: string[]): string[][] {
  const options: string[][] = [];
  for (const word of words) {
    if (word.startsWith("--")) options.push([word]);
    else options.at(-1)?.push(word);
  }
  return options;
}

/** Lines of a configuration file as words; what stands between <tag> and </tag> are keys and certificates. */
function* optionLines(text: string): Iterable<string[]> {
  let inside: string | undefined;
  for (const line of text.split("\n", MAX_LINES)) {
    const trimmed = line.replace(/^\uFEFF/, "").trim();
    if (inside !== undefined) {
      if (trimmed === `</${inside}>`) inside = undefined;
      continue;
    }
    inside = /^<([a-z0-9-]+)>$/.exec(trimmed)?.[1];
    if (inside !== undefined) continue;
    const words = wordsOf(trimmed);
    if (words.length > 0) yield words;
  }
}

const WORD = /"((?:[^"\\]|\\.)*)"|'([^']*)'|((?:[^\s"'\\]|\\.)+)/g;

/** Words may be quoted; a backslash takes the next character as it is; # and ; begin a comment. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [, quoted, literal, plain] of line.matchAll(WORD)) {
    if (plain?.startsWith("#") || plain?.startsWith(";")) break;
    words.push(literal ?? (quoted ?? plain ?? "").replace(/\\(.)/g, "$1"));
  }
  return words;
}

/** Does it serve many clients? Undefined: these options do not say. */
export function servesClients(options: OpenvpnOptions): boolean | undefined {
  if (options.has("server") || options.has("server-bridge") || options.has("server-ipv6")) return true;
  if (options.get("mode")?.[0] === "server") return true;
  return options.has("client") || options.has("remote") || options.has("pull") ? false : undefined;
}
