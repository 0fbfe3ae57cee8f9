import { expect, it } from 'vitest';
import { renderMesh } from '../../../src/cli/render/mesh.ts';
import type { MeshView } from '../../../src/protocol/state.ts';

const at = 100_000;
const side = { linked: true, since: 0, reachability: { status: 'reachable', since: 90_000 } } as const;

const view: MeshView = {
  seenFrom: 'n1',
  at,
  hosts: [
    {
      host: 'n2',
      links: [{ ...side, host: 'n1', roundTripMs: 0.7, loss: 0, pathMtu: 1450 }],
      refusals: { no_certificate: 3, flood: 1 },
    },
    {
      host: 'n1',
      links: [
        { ...side, host: 'n2', roundTripMs: 0.41, loss: 0.0833, pathMtu: 1500 },
        {
          host: 'n3',
          linked: false,
          since: 0,
          reachability: { status: 'unreachable', since: 95_000, why: 'no link: closed', confirmed: false },
        },
      ],
      refusals: {},
    },
    { host: 'n3', unknown: 'There is no link to n3: closed.' },
  ],
};

it('shows both directions of every pair with state, age, round trip, loss, path MTU and why, and who was turned away', () => {
  expect(renderMesh(view)).toMatchInlineSnapshot(`
    "mesh, seen from n1

    FROM  TO  STATE                      SINCE  ROUND TRIP  LOSS   PATH MTU  WHY
    n1    n2  reachable                  10s    0.41 ms     8.3 %  1500
    n1    n3  unreachable (unconfirmed)  5s     -           -      -         no link: closed
    n2    n1  reachable                  10s    0.7 ms      0 %    1450
    n3    -   unknown                                                        There is no link to n3: closed.

    n2 turned away 3: no_certificate
    n2 turned away 1: flood
    "
  `);
});
