import * as v from 'valibot';
import { sleep } from '../../host/ports/clock.ts';
import type { Files } from '../../host/ports/files.ts';
import { parseYamlDocument } from '../../host/yaml.ts';
import { type ErrorCode, errnoOf, RlnetError } from '../../protocol/errors.ts';
import {
  clusterFileSchema,
  type Declaration,
  renderClusterFile,
} from '../../protocol/rollout/declaration.ts';
import type { Rollout } from '../../protocol/rollout/record.ts';
import { type Context, json, type Outcome } from '../context.ts';
import { withAgent } from '../control-client.ts';
import { renderDifference, renderRollout, renderRolloutLine } from '../render/rollout.ts';

interface Options {
  runtimeDirectory: string;
  json?: boolean;
}

export interface FileCommandOptions extends Options {
  file: string;
  plan?: string;
  yes?: boolean;
}

/** Every node's agent plans, with RS, the wire and all peers. */
const planMs = 90_000;
const lookAgainMs = 500;
const refusedStatus = 7;

/** The exit status: how it ended (docs/errors.md). */
const outcomeStatus: Readonly<Record<NonNullable<Rollout['outcome']>, number>> = { done: 0, stopped: 30 };

/** What a host that restarts, or whose address moves, makes of a question: the next one may be answered. */
const passing: ReadonlySet<ErrorCode> = new Set(['AGENT_NOT_RUNNING', 'PEER_UNREACHABLE', 'REQUEST_TIMEOUT']);

/** `rlnet plan -f FILE`. */
export async function planFile(context: Context, options: FileCommandOptions): Outcome {
  const declaration = await readClusterFile(context.files, options.file);
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const plan = await client.call('rollout_plan', { declaration, by: context.user }, planMs);
    context.print(options.json === true ? json(plan) : renderDifference(plan));
    return plan.difference.problems.length + plan.refusals.length === 0 ? 0 : refusedStatus;
  });
}

/** `rlnet apply -f FILE`: begins, and follows until it has ended. */
export async function applyFile(context: Context, options: FileCommandOptions): Outcome {
  const declaration = await readClusterFile(context.files, options.file);
  if (options.yes !== true && options.plan === undefined) {
    throw new RlnetError(
      'CONFIRMATION_MISSING',
      'To begin without having seen the plan has to be said.',
      `Look at it first: rlnet plan -f ${options.file}; then add --plan with the mark that it shows, or --yes.`,
    );
  }
  const begun = await withAgent(context, options.runtimeDirectory, (client) =>
    client.call(
      'rollout_start',
      { declaration, by: context.user, ...(options.plan === undefined ? {} : { mark: options.plan }) },
      planMs,
    ),
  );
  if (options.json !== true) context.print(renderRollout(begun));
  return await follow(context, options, begun.id);
}

/** `rlnet export`. */
export async function exportFile(context: Context, options: Options): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { declaration, notes } = await client.call('declaration', {});
    const comments = new Map(notes.map(({ node, note }) => [node, note]));
    context.print(
      options.json === true ? json({ declaration, notes }) : renderClusterFile(declaration, comments),
    );
    return 0;
  });
}

/** `rlnet pause --reason TEXT`, `rlnet unpause`. */
export async function pause(
  context: Context,
  options: Options & { paused: boolean; reason?: string },
): Outcome {
  const { paused, reason } = options;
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const params = { by: context.user, paused, ...(reason === undefined ? {} : { reason }) };
    const { leader } = await client.call('rollout_pause', params);
    const text = paused
      ? `the rollout led by ${leader} begins with no further node; what is under way goes on\n`
      : `the rollout led by ${leader} goes on\n`;
    context.print(options.json === true ? json({ leader, paused }) : text);
    return 0;
  });
}

/** `rlnet rollout end --reason TEXT`. */
export async function endRollout(context: Context, options: Options & { reason: string }): Outcome {
  return await withAgent(context, options.runtimeDirectory, async (client) => {
    const { leader } = await client.call('rollout_end', { by: context.user, reason: options.reason });
    context.print(options.json === true ? json({ leader }) : `the rollout led by ${leader} has ended\n`);
    return 0;
  });
}

/** `rlnet rollout [--follow]`. */
export async function rollout(context: Context, options: Options & { follow?: boolean }): Outcome {
  const newest = await withAgent(context, options.runtimeDirectory, (client) => client.call('rollout', {}));
  if (newest.rollout === undefined) {
    throw new RlnetError(
      'ROLLOUT_NOT_OPEN',
      'No rollout was ever begun, as far as the agents that answer know.',
      'See rlnet plan -f and rlnet apply -f.',
    );
  }
  if (options.follow === true) return await follow(context, options, newest.rollout.id);
  context.print(options.json === true ? json(newest.rollout) : renderRollout(newest.rollout));
  return 0;
}

/** Shows what is new until it has ended. Agents go away meanwhile and come back: each host of the rollout restarts. */
async function follow(context: Context, options: Options, id: string): Outcome {
  const { clock, ended } = context;
  let shown = '';
  while (!ended.aborted) {
    try {
      const { rollout: seen } = await withAgent(context, options.runtimeDirectory, (client) =>
        client.call('rollout', {}),
      );
      if (seen !== undefined && seen.id === id) {
        const line = options.json === true ? `${JSON.stringify(seen)}\n` : renderRolloutLine(seen);
        if (line !== shown) context.print(line);
        shown = line;
        if (seen.outcome !== undefined) return outcomeStatus[seen.outcome];
      }
    } catch (thrown) {
      if (!(thrown instanceof RlnetError) || !passing.has(thrown.code)) throw thrown;
    }
    // Ended by a person: what is followed goes on without them.
    await sleep(clock, lookAgainMs, ended).catch(() => {});
  }
  return 0;
}

/** @throws RlnetError CONFIG_UNREADABLE; CONFIG_INVALID, CLUSTER_FILE_INVALID with line and column */
async function readClusterFile(files: Files, file: string): Promise<Declaration> {
  let text: string;
  try {
    text = await files.read(file);
  } catch (thrown) {
    throw new RlnetError(
      'CONFIG_UNREADABLE',
      `The file cannot be read (${errnoOf(thrown) ?? String(thrown)}).`,
      'rlnet export writes one to start from.',
      { cause: thrown, at: { file } },
    );
  }
  return decodeClusterFile(text, file);
}

/** @throws RlnetError CONFIG_INVALID, CLUSTER_FILE_INVALID with line and column of the first thing that is wrong */
export function decodeClusterFile(text: string, file: string): Declaration {
  const document = parseYamlDocument(text, file);
  const parsed = v.safeParse(clusterFileSchema, document.value);
  if (parsed.success) return { ...parsed.output, windows: parsed.output.windows ?? [] };
  const [issue, ...others] = parsed.issues;
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const unknownKey = issue.type === 'strict_object' && issue.expected === 'never';
  const at = { file, ...(unknownKey ? document.locateKey(path) : document.locate(path)) };
  const name = path.join('.') || 'The file';
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  throw new RlnetError(
    'CLUSTER_FILE_INVALID',
    unknownKey ? `There is no ${name} in this file${more}.` : `${name}: ${issue.message}${more}.`,
    'docs/cluster-file.md says what can stand there; an editor shows it with docs/cluster.schema.json.',
    { at },
  );
}
