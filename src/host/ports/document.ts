/** A parsed configuration document that still knows where each of its values stood. */
export interface LocatedDocument {
  /** Plain data: objects, arrays, strings, numbers, booleans, null. */
  value: unknown;
  /** Where the value at `path` starts, or where its nearest existing parent does. Both 1-based. */
  locate(path: readonly (string | number)[]): { line: number; column: number };
  /** Where the *key* that ends `path` starts: for keys that should not be there. Both 1-based. */
  locateKey(path: readonly (string | number)[]): { line: number; column: number };
}

/** A node of a document that is to be changed where it stands. All scalars are text, as what they mean is the reader's to say. */
export type LocatedNode = LocatedScalar | LocatedMap | LocatedList;

interface Located {
  /** It is named by an anchor, or inside of such a node: a change of it is one of all places that the alias stands at. */
  shared: boolean;
}

export interface LocatedScalar extends Located {
  kind: 'scalar';
  value: string;
  /** Where it is written, at [start, end): with its quotes, and the header of a block scalar. Empty for a value left out. */
  start: number;
  end: number;
}

export interface LocatedMap extends Located {
  kind: 'map';
  /** In the order of the file; a key that is given twice is there twice, and one that is no scalar is left out. */
  entries: { key: LocatedScalar; value: LocatedNode }[];
}

export interface LocatedList extends Located {
  kind: 'list';
  items: LocatedNode[];
}
