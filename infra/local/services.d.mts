export interface Service {
  url: string;
  /** Waits until the server has ended and its data is on disk. Harmless when called twice. */
  stop(): Promise<void>;
}
type Environment = Readonly<Record<string, string | undefined>>;

/** Root of the checkout. */
export const ROOT: string;
/** Owner's URL of an empty or kept database. With DATABASE_URL in `env` (default: process.env) it starts nothing. */
export function startPostgres(options: {
  dir: string;
  port?: number;
  durable?: boolean;
  env?: Environment;
}): Promise<Service>;
/** With REDIS_URL in `env` (default: process.env) it starts nothing. */
export function startRedis(options: { dir: string; port?: number; env?: Environment }): Promise<Service>;
export function findRedis(): { file: string; env: Record<string, string> } | undefined;
export function postgresBinaries(): string;
/** The given port if it is free, or any free one on loopback. */
export function freePort(wanted?: number, who?: string): Promise<number>;
