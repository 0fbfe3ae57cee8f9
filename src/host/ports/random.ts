/** Chance, as the rest of rlnet may use it; a simulation draws all of it from one seed. */
export interface Random {
  /** Uniform in [0, 1). For jitter, never for secrets. */
  fraction(): number;
  /** 122 bits from a cryptographic source, in 32 hexadecimal digits (a UUID of version 4 without its hyphens): nonces, request ids, instance ids. */
  id(): string;
}
