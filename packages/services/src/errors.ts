/** Refused: the caller shows the message and acts on the code. Anything else that is thrown is a fault of ours. */
export class Refusal extends Error {
  readonly code: string;
  /** What HTTP calls it. */
  readonly status: number;
  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.status = status;
  }
}

export class NotFound extends Refusal {
  constructor(what: string) {
    super("not_found", 404, `No such ${what}.`);
  }
}

export class Conflict extends Refusal {
  constructor(message: string) {
    super("conflict", 409, message);
  }
}

export class Unauthenticated extends Refusal {
  constructor(message: string) {
    super("unauthenticated", 401, message);
  }
}

export class Forbidden extends Refusal {
  constructor(message: string) {
    super("forbidden", 403, message);
  }
}

export class InvalidInput extends Refusal {
  readonly issues: readonly { path: string; message: string }[];
  constructor(message: string, issues: readonly { path: string; message: string }[] = []) {
    super("invalid_input", 400, message);
    this.issues = issues;
  }
}

export class QuotaExceeded extends Refusal {
  readonly quota: number;
  constructor(what: string, quota: number) {
    super("quota_exceeded", 402, `The plan allows ${quota} ${what}.`);
    this.quota = quota;
  }
}

export class TooManyRequests extends Refusal {
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number) {
    super("too_many_requests", 429, `Too many requests: try again in ${retryAfterSeconds} s.`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
