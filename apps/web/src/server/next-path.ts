import { z } from "zod";

/** Where to go after sign-in: a path of this host, never another's address. Anything else is "/". */
export const NextPath = z
  .string()
  .regex(/^\/(?![/\\])[^\s\\]{0,500}$/)
  .catch("/");
