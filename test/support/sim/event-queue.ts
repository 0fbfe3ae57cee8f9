/** Who an event belongs to; it may take the event, put it off or let it fall. */
export interface Owner {
  readonly name: string;
  /** Whether the event is to run now. An owner that says no has kept it, or does not want it any more. */
  takes(event: KernelEvent): boolean;
}

export interface KernelEvent {
  /** Virtual time, milliseconds. */
  time: number;
  /** Order among events of the same time. */
  sequence: number;
  /** `timer`: of the owner's event loop. `io`: something arrived for it. `world`: of no process. */
  readonly kind: 'timer' | 'io' | 'world';
  readonly label: string;
  readonly owner: Owner | undefined;
  readonly run: () => void;
  cancelled: boolean;
  /** Of a timer: when it is due by the monotonic clock of its machine, which stands still while that sleeps. */
  deadline?: number;
}

/** Events by time, then by sequence: a binary heap. */
export class EventQueue {
  readonly #heap: KernelEvent[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): KernelEvent | undefined {
    return this.#heap[0];
  }

  push(event: KernelEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  pop(): KernelEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        child += 1;
        below = right;
      }
      if (isBefore(last, below)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(a: KernelEvent, b: KernelEvent): boolean {
  return a.time < b.time || (a.time === b.time && a.sequence < b.sequence);
}
