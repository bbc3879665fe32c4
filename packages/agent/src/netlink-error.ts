export class NetlinkError extends Error {
  readonly errno: number;
  constructor(what: string, errno: number) {
    super(`${what}: ${ERRNO[errno] ?? `errno ${errno}`}`);
    this.errno = errno;
  }
}
export const ENOENT = 2;
export const EPERM = 1;
export const EBUSY = 16;
const ERRNO: Record<number, string> = {
  1: "not permitted (CAP_NET_ADMIN is needed)",
  2: "no such table or object",
  16: "busy (another program listens there)",
  17: "exists already",
  95: "not supported by this kernel",
};
