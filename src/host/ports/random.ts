/** Chance, as the rest of rlnet may use it; a simulation draws all of it from one seed. */
export interface Random {
  /** Uniform in [0, 1). For jitter, never for secrets. */
  fraction(): number;
  /** 128 bits from a cryptographic source, as 32 hexadecimal digits: nonces, request ids, instance ids. */
  id(): string;
}
