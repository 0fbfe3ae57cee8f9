import { asRlnetError, type ErrorReport } from '../protocol/errors.ts';

/** Runs a handler and makes of it what a `response` carries; never rejects. */
export async function answerOf(
  handler: () => Promise<unknown>,
): Promise<{ result: unknown } | { error: ErrorReport }> {
  try {
    return { result: await handler() };
  } catch (thrown) {
    return { error: asRlnetError(thrown).report() };
  }
}
