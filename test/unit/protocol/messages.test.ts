import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { RlnetError } from '../../../src/protocol/errors.ts';
import {
  commonProtocol,
  decodeMessage,
  encodeMessage,
  errorFromResponse,
  type Message,
  maxMessageBytes,
  responseTo,
} from '../../../src/protocol/messages.ts';

const hello: Message = {
  type: 'hello',
  protocol: { min: 1, max: 1 },
  cluster: 'demo',
  host: 'n1',
  version: '0.1.0',
  machineId: 'a'.repeat(32),
  bootId: '0b2ec89e-3a2f-4d9c-a3a9-ff1d4c2d7d3a',
  instance: 'b'.repeat(32),
  nodeUid: 1,
};

describe('decodeMessage', () => {
  it('gives back what was encoded', () => {
    for (const message of [
      hello,
      { type: 'ping', nonce: 'x' },
      { type: 'request', id: '1', method: 'status', params: {} },
    ] as const) {
      expect(decodeMessage(encodeMessage(message))).toEqual(message);
    }
  });

  it('ignores a type that this version does not know', () => {
    expect(decodeMessage('{"type":"gossip","data":[1,2]}')).toBeUndefined();
  });

  it('drops fields that this version does not know', () => {
    expect(decodeMessage('{"type":"ping","nonce":"x","later":true}')).toEqual({ type: 'ping', nonce: 'x' });
  });

  test.for([
    ['not JSON', 'hello'],
    ['no type', '{"nonce":"x"}'],
    ['no type', '[1]'],
    ['no type', 'null'],
    ['ping at nonce', '{"type":"ping","nonce":7}'],
    ['ping at nonce', '{"type":"ping","nonce":""}'],
    ['hello at host', encodeMessage(hello).replace('"n1"', '"n 1"')],
    ['longer than', JSON.stringify({ type: 'ping', nonce: 'x'.repeat(maxMessageBytes) })],
  ])('refuses what is %s', ([why, text]) => {
    let refused: unknown;
    try {
      decodeMessage(text ?? '');
    } catch (thrown) {
      refused = thrown;
    }
    expect(refused).toBeInstanceOf(RlnetError);
    expect(refused).toMatchObject({ code: 'MESSAGE_INVALID', message: expect.stringContaining(why ?? '') });
  });

  it('answers any text with a message, nothing, or MESSAGE_INVALID', () => {
    const nearly = fc.string().map((junk) => encodeMessage(hello).slice(0, -junk.length) + junk);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), nearly), (text) => {
        try {
          decodeMessage(text);
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: 'RlnetError', code: 'MESSAGE_INVALID' });
        }
      }),
    );
  });
});

describe('encodeMessage', () => {
  it('refuses what the other side would not take', () => {
    const long: Message = { type: 'event', name: 'x', data: 'ä'.repeat(maxMessageBytes / 2) };
    expect(() => encodeMessage(long)).toThrow(/longer than/);
  });
});

describe('a response', () => {
  it('carries an error with its code over the wire', () => {
    const error = new RlnetError('PEER_UNKNOWN', 'No host n9 is known here.', 'See rlnet status.');
    const message = decodeMessage(encodeMessage(responseTo('1', { error: error.report() })));
    const received =
      message?.type === 'response' && message.error ? errorFromResponse(message.error) : undefined;
    expect(received).toMatchObject({ code: 'PEER_UNKNOWN', message: error.message, remedy: error.remedy });
  });

  it('with a code of a newer version keeps the name of that code', () => {
    const received = errorFromResponse({ code: 'LOCK_HELD', message: 'Held by n2.', remedy: 'Wait.' });
    expect(received).toMatchObject({ code: 'INTERNAL', message: 'LOCK_HELD: Held by n2.' });
  });
});

describe('commonProtocol', () => {
  test.for([
    [1, 1, 1],
    [1, 4, 1],
    [2, 4, undefined],
    [0, 0, undefined],
  ])('of a peer that speaks %i to %i is %o', ([min, max, common]) => {
    expect(commonProtocol({ min: min ?? 0, max: max ?? 0 })).toBe(common);
  });
});
