/**
 * The one error type of rlnet. Everything that rlnet refuses, or cannot do, is an `RlnetError` with a code that
 * scripts may rely on, one sentence that says what is wrong, and a remedy that says what to do about it.
 *
 * The table holds what is true of a code everywhere: its exit status and whether trying again can help.
 * Codes are an append-only list; they appear in docs/errors.md, in `--json` output and on the wire.
 */
const codes = {
  ADDRESS_INVALID: { exit: 2, retryable: false },
  USAGE: { exit: 2, retryable: false },
  CONFIG_INVALID: { exit: 3, retryable: false },
  CONFIG_UNREADABLE: { exit: 3, retryable: false },
  TLS_FILE_UNREADABLE: { exit: 3, retryable: false },
  TLS_FILE_INVALID: { exit: 3, retryable: false },
  TLS_FILE_EXISTS: { exit: 3, retryable: false },
  TLS_IDENTITY_MISMATCH: { exit: 3, retryable: false },
  NOT_PERMITTED: { exit: 4, retryable: false },
  AGENT_NOT_RUNNING: { exit: 5, retryable: true },
  AGENT_ALREADY_RUNNING: { exit: 5, retryable: false },
  PEER_UNKNOWN: { exit: 5, retryable: false },
  PEER_REFUSED: { exit: 5, retryable: false },
  PEER_UNREACHABLE: { exit: 5, retryable: true },
  REQUEST_TIMEOUT: { exit: 5, retryable: true },
  WIRE_BUSY: { exit: 5, retryable: true },
  MESSAGE_INVALID: { exit: 6, retryable: false },
  METHOD_UNKNOWN: { exit: 6, retryable: false },
  COMMAND_FAILED: { exit: 6, retryable: true },
  COMMAND_NOT_FOUND: { exit: 6, retryable: false },
  COMMAND_TIMEOUT: { exit: 6, retryable: true },
  OUTPUT_UNREADABLE: { exit: 6, retryable: false },
  ADDRESS_CHANGE_REFUSED: { exit: 7, retryable: false },
  ADDRESS_CHANGE_UNDER_WAY: { exit: 7, retryable: false },
  ADDRESS_CHANGE_TAKEN_BACK: { exit: 7, retryable: true },
  KERNEL_NOT_AS_PLANNED: { exit: 7, retryable: false },
  DETACHED_TIMER_FAILED: { exit: 7, retryable: false },
  OWNER_UNKNOWN: { exit: 7, retryable: false },
  OWNER_AMBIGUOUS: { exit: 7, retryable: false },
  OWNER_NOT_EDITABLE: { exit: 7, retryable: false },
  OWNER_LINK_GONE: { exit: 7, retryable: false },
  OWNER_FILE_REFUSED: { exit: 7, retryable: false },
  OWNER_ADDRESS_NOT_FOUND: { exit: 7, retryable: false },
  OWNER_ADDRESS_TWICE: { exit: 7, retryable: false },
  OWNER_CHANGE_REFUSED: { exit: 7, retryable: false },
  OWNER_BACKUP_INVALID: { exit: 7, retryable: false },
  OWNER_WRITE_FAILED: { exit: 7, retryable: true },
  OWNER_FILES_CHANGED: { exit: 7, retryable: false },
  OWNER_REJECTED: { exit: 7, retryable: false },
  OWNER_NOT_TAKEN_UP: { exit: 7, retryable: true },
  OWNER_HOOK_REFUSED: { exit: 7, retryable: false },
  OWNER_HOOK_FAILED: { exit: 7, retryable: true },
  JOURNAL_DAMAGED: { exit: 6, retryable: false },
  JOURNAL_NOT_WRITABLE: { exit: 6, retryable: false },
  LOCK_CLOSED: { exit: 7, retryable: false },
  LOCK_EPOCH_OLD: { exit: 7, retryable: true },
  LOCK_EPOCH_TOO_HIGH: { exit: 7, retryable: true },
  LOCK_LOST: { exit: 7, retryable: false },
  LOCK_MEMBERS_DIFFER: { exit: 7, retryable: false },
  LOCK_NO_MAJORITY: { exit: 7, retryable: true },
  LOCK_NOT_OWN: { exit: 4, retryable: false },
  LOCK_STATE_DAMAGED: { exit: 3, retryable: false },
  LOCK_STATE_UNKNOWN: { exit: 7, retryable: true },
  LOCK_TAKEN: { exit: 7, retryable: true },
  NODE_NOT_DOWN: { exit: 7, retryable: true },
  REGISTRATION_LOST: { exit: 7, retryable: false },
  REGISTRATION_REFUSED: { exit: 7, retryable: true },
  RENUMBERING_NOT_OPEN: { exit: 7, retryable: false },
  RENUMBERING_OPEN: { exit: 7, retryable: false },
  ADDRESS_IN_USE: { exit: 7, retryable: false },
  ADDRESS_NOT_REACHED: { exit: 7, retryable: false },
  GATEWAY_SILENT: { exit: 7, retryable: false },
  WIRE_UNKNOWN: { exit: 7, retryable: true },
  RS_NO_QUORUM: { exit: 7, retryable: true },
  RS_VIEW_UNKNOWN: { exit: 7, retryable: true },
  UNIT_AMBIGUOUS: { exit: 7, retryable: false },
  UNIT_NOT_FOUND: { exit: 7, retryable: false },
  UNIT_MASKED: { exit: 7, retryable: false },
  UNIT_MASKED_RUNTIME: { exit: 7, retryable: false },
  UNIT_BAD_SETTING: { exit: 7, retryable: false },
  UNIT_GENERATED: { exit: 7, retryable: false },
  UNIT_LINKED: { exit: 7, retryable: false },
  UNIT_LINKED_RUNTIME: { exit: 7, retryable: false },
  UNIT_TRANSIENT: { exit: 7, retryable: false },
  UNIT_STATIC: { exit: 7, retryable: false },
  UNIT_INDIRECT: { exit: 7, retryable: false },
  UNIT_ENABLED_RUNTIME: { exit: 7, retryable: false },
  UNIT_DISABLED: { exit: 7, retryable: false },
  UNIT_ALIAS_ONLY: { exit: 7, retryable: false },
  UNIT_STATE_UNKNOWN: { exit: 7, retryable: false },
  UNIT_RELOAD_NEEDED: { exit: 7, retryable: false },
  UNIT_PULLED_IN: { exit: 7, retryable: false },
  UNIT_ENABLES_OTHERS: { exit: 7, retryable: false },
  UNIT_STILL_ENABLED: { exit: 7, retryable: true },
  UNIT_NOT_RESTORED: { exit: 7, retryable: true },
  UNIT_FAILED: { exit: 7, retryable: true },
  UNIT_START_LIMIT: { exit: 7, retryable: false },
  UNIT_CONDITION_UNMET: { exit: 7, retryable: false },
  UNIT_JOB_CANCELLED: { exit: 7, retryable: true },
  UNIT_UNCHANGED: { exit: 7, retryable: true },
  UNIT_TIMEOUT: { exit: 7, retryable: true },
  REBOOT_INHIBITED: { exit: 7, retryable: true },
  REBOOT_REFUSED: { exit: 7, retryable: true },
  REBOOT_DID_NOT_HAPPEN: { exit: 7, retryable: false },
  FILE_CHANGED: { exit: 7, retryable: true },
  FILE_NOT_EDITABLE: { exit: 7, retryable: false },
  LOCAL_ONLY: { exit: 4, retryable: false },
  MODE_OBSERVE: { exit: 4, retryable: false },
  GUARD_UNKNOWN: { exit: 7, retryable: true },
  DISK_REFUSED: { exit: 6, retryable: true },
  PLAN_UNKNOWN: { exit: 7, retryable: false },
  PLAN_REFUSED: { exit: 7, retryable: false },
  CONFIRMATION_MISSING: { exit: 2, retryable: false },
  LOCK_NOT_HELD: { exit: 7, retryable: false },
  LOCK_HOLDER_ALIVE: { exit: 7, retryable: false },
  REMOTE_OPERATIONS_OFF: { exit: 4, retryable: false },
  DATABASE_UNUSABLE: { exit: 6, retryable: true },
  DEAD_MAN_FAILED: { exit: 7, retryable: false },
  NODE_UNKNOWN: { exit: 5, retryable: false },
  EXTERNAL_ADDRESS_UNUSABLE: { exit: 7, retryable: false },
  EXTERNAL_ADDRESS_TAKEN: { exit: 7, retryable: false },
  EXTERNAL_LAST_ADDRESS: { exit: 7, retryable: false },
  EXTERNAL_RENUMBERING_OPEN: { exit: 7, retryable: true },
  EXTERNAL_NOT_TAKEN_UP: { exit: 7, retryable: true },
  ROLLOUT_OPEN: { exit: 7, retryable: true },
  ROLLOUT_NOT_OPEN: { exit: 7, retryable: false },
  ROLLOUT_PLAN_OUTDATED: { exit: 7, retryable: false },
  CLUSTER_FILE_INVALID: { exit: 3, retryable: false },
  CLUSTER_FILE_REFUSED: { exit: 7, retryable: false },
  NODE_BOOTSTRAP_ERROR: { exit: 7, retryable: false },
  BOOTSTRAP_FAILED: { exit: 7, retryable: false },
  BOOTSTRAP_UNDER_WAY: { exit: 7, retryable: true },
  BOOTSTRAP_INTERRUPTED: { exit: 7, retryable: true },
  BOOTSTRAP_NOT_CONFIRMED: { exit: 7, retryable: true },
  CREDENTIALS_MISSING: { exit: 2, retryable: false },
  CREDENTIALS_EXPOSED: { exit: 3, retryable: false },
  CREDENTIALS_INVALID: { exit: 3, retryable: false },
  RS_REST_UNREACHABLE: { exit: 6, retryable: true },
  RS_CERTIFICATE_UNKNOWN: { exit: 4, retryable: false },
  RS_REDIRECT_UNKNOWN: { exit: 4, retryable: false },
  RS_SIGN_IN_REFUSED: { exit: 4, retryable: false },
  INTERNAL: { exit: 70, retryable: false },
} as const satisfies Record<string, { exit: number; retryable: boolean }>;

export type ErrorCode = keyof typeof codes;

/** What an error looks like in `--json` output and inside a `response` message. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
  remedy: string;
  /** Where in a file, for errors about files: 1-based. */
  at?: { file: string; line?: number; column?: number };
}

export class RlnetError extends Error {
  override readonly name = 'RlnetError';
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly at: ErrorReport['at'];

  /**
   * @param code    stable, from the table above
   * @param message one sentence: what is wrong, with the evidence in it
   * @param remedy  one sentence: what a person does about it
   */
  constructor(
    code: ErrorCode,
    message: string,
    remedy: string,
    options: { cause?: unknown; at?: ErrorReport['at'] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = remedy;
    this.at = options.at;
  }

  /** The exit status of a command that ends with this error (docs/errors.md). */
  get exitStatus(): number {
    return codes[this.code].exit;
  }

  /** Whether the same attempt may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return codes[this.code].retryable;
  }

  report(): ErrorReport {
    return {
      code: this.code,
      message: this.message,
      remedy: this.remedy,
      ...(this.at === undefined ? {} : { at: this.at }),
    };
  }
}

/** Whether a word from outside (a peer of another version, say) is a code that this version knows. */
export function isErrorCode(word: string): word is ErrorCode {
  return Object.hasOwn(codes, word);
}

/** What a disk that is full, failing or read-only says. */
const diskErrors: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS']);

/** Any thrown value as an RlnetError; what is not one already is a defect of ours and says so. */
export function asRlnetError(thrown: unknown): RlnetError {
  if (thrown instanceof RlnetError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const errno = errnoOf(thrown);
  if (errno !== undefined && diskErrors.has(errno)) {
    return new RlnetError(
      'DISK_REFUSED',
      `The disk refused: ${text}.`,
      'Make room, or look in the kernel log (journalctl -k) what is wrong with the disk.',
      { cause: thrown },
    );
  }
  return new RlnetError(
    'INTERNAL',
    `unexpected: ${text}`,
    'Report this with the output of journalctl -u rlnet.',
    {
      cause: thrown,
    },
  );
}

/** The word of the operating system for what went wrong (`ENOENT`, `EACCES` …), if that is what was thrown. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** For the end of an exhaustive `switch`: the compiler proves it is never reached. */
export function assertNever(value: never): never {
  throw new Error(`not reachable: ${JSON.stringify(value)}`);
}
