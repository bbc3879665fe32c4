import { wrap } from "./terminal.ts";
import { ABOUT, COMMON, commandNames, EXIT_CODES, NAME, type OptionName, optionOf, specOf } from "./usage.ts";

const LONGEST_LINE = 78;

/** The manual page in mdoc(7), from the table that `--help` is made from. `date` is ISO 8601. */
export function manualPage(date: string): string {
  const day = new Date(date);
  const month = day.toLocaleString("en", { month: "long", timeZone: "UTC" });
  return `${[
    `.Dd ${month} ${day.getUTCDate()}, ${day.getUTCFullYear()}`,
    `.Dt ${NAME.toUpperCase()} 8`,
    ".Os",
    ".Sh NAME",
    `.Nm ${NAME}`,
    ".Nd protects a VPN concentrator from denial of service",
    ".Sh SYNOPSIS",
    ...commandNames.flatMap((name) => [".Nm", ...synopsisOf(name)]),
    ".Sh DESCRIPTION",
    ...text(ABOUT),
    "The commands are:",
    ".Bl -tag -width Ds",
    ...commandNames.flatMap((name) => [
      `.It Ic ${name}`,
      ...specOf(name).words.flatMap((paragraph, index) => [...(index > 0 ? [".Pp"] : []), ...text(paragraph)]),
    ]),
    ".El",
    ".Pp",
    "The options are:",
    ".Bl -tag -width Ds",
    ...usedOptions().flatMap((name) => [`.It ${flags(name)}`, ...text(optionOf(name).words)]),
    ".El",
    ".Sh FILES",
    ".Bl -tag -width Ds",
    `.It Pa /var/lib/${NAME}`,
    ...text(
      "What was learned, open attacks, events that the service has not taken, and who this node is; configurable.",
    ),
    `.It Pa /run/${NAME}`,
    "The socket at which the running agent answers the other commands.",
    ".El",
    ".Sh EXIT STATUS",
    ".Bl -tag -width Ds",
    ...EXIT_CODES.flatMap(([code, words]) => [`.It ${code}`, ...text(words)]),
    ".El",
    ".Sh SEE ALSO",
    ".Xr nft 8 ,",
    ".Xr wg 8",
  ].join("\n")}\n`;
}

function synopsisOf(name: (typeof commandNames)[number]): string[] {
  const { operands, options, required = [] } = specOf(name);
  return [
    `.Ic ${name}`,
    ...operands.map((operand) => `${operand.optional ? ".Op" : "."}${operand.optional ? " Ar" : "Ar"} ${operand.name}`),
    ...[...options, "json" as const].map((option) => `.${required.includes(option) ? "" : "Op "}${flag(option)}`),
  ];
}

/** mdoc writes the first dash of an option itself. */
const flag = (name: OptionName) => {
  const { value } = optionOf(name);
  return `Fl \\-${name}${value ? ` Ar ${value}` : ""}`;
};
const flags = (name: OptionName) => {
  const { short } = optionOf(name);
  return `${short ? `Fl ${short} , ` : ""}${flag(name)}`;
};

const usedOptions = (): OptionName[] => [
  ...new Set([...commandNames.flatMap((name) => specOf(name).options), ...COMMON, "version" as const]),
];

/** One sentence a line, as mdoc wants it; a line must not begin like a macro. */
const text = (words: string): string[] =>
  words
    .replaceAll("\\", "\\e")
    .split(/(?<=[.!?]) /)
    .flatMap((sentence) => wrap(sentence, LONGEST_LINE).split("\n"))
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line));
