const MAX_INTEGER = 2_147_483_647;
const EARLIEST = Date.UTC(1970, 0, 1);
const LATEST = Date.UTC(2200, 0, 1);

/** A count as an integer column holds it. Nodes are not trusted to be sane, and a refused row would be sent for ever. */
export const count = (value: number | null | undefined): number | null =>
  value === null || value === undefined ? null : Math.min(value, MAX_INTEGER);

/** A node's moment, within the years that a clock may show. */
export const instant = (iso: string): Date => new Date(Math.min(Math.max(Date.parse(iso), EARLIEST), LATEST));
