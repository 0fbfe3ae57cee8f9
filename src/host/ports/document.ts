/** A parsed configuration document that still knows where each of its values stood. */
export interface LocatedDocument {
  /** Plain data: objects, arrays, strings, numbers, booleans, null. */
  value: unknown;
  /** Where the value at `path` starts, or where its nearest existing parent does. Both 1-based. */
  locate(path: readonly (string | number)[]): { line: number; column: number };
  /** Where the *key* that ends `path` starts: for keys that should not be there. Both 1-based. */
  locateKey(path: readonly (string | number)[]): { line: number; column: number };
}
