import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { AggregatorApi } from '../../src/client/api.ts';
import { GroupHome } from '../../src/client/home.ts';
import { joinRun } from '../../src/client/join.ts';
import { retryWith } from '../../src/client/retry.ts';
import { httpTransport } from '../../src/client/transport.ts';
import { loadSurvey } from '../../src/data/shipped.ts';
import { type RunStatus, runStatusSchema } from '../../src/wire/http.ts';
import { decodeInvitation } from '../../src/wire/invitation.ts';
import { events, SMALL } from './cli.ts';
import type { CommandLine, Running } from './processes.ts';

/** Five groups of the shipped survey. */
export const FIVE = [
  'democrat-black-30-49',
  'democrat-white-65+',
  'independent-white-18-29',
  'republican-white-50-64',
  'republican-white-65+',
] as const;

/** The overrides of a small run with these groups alone, simulated or deployed. */
export function smallRun(groups: readonly string[], changes: readonly string[]): string[] {
  const training = `data.groups.training=${JSON.stringify(groups)}`;
  return [...SMALL, training, 'runtime.device=cpu', 'compare=[]', ...changes];
}

const QUICKSTART = 'configs/gpo.yaml';

/** The model file of a simulated run. */
export async function simulated(
  cli: CommandLine,
  folder: string,
  overrides: readonly string[],
): Promise<Buffer> {
  await cli.run(['run', QUICKSTART, ...overrides, '--output-dir', folder, '--quiet']);
  return readFileSync(join(folder, 'model.onnx'));
}

/** An aggregator in a process of its own. */
export interface Serving {
  readonly process: Running;
  readonly url: string;
}

const listeningSchema = z.object({ type: z.literal('listening'), url: z.string() });

/** The first event of a kind that a process printed; null before it is there. */
export function eventIn<Schema extends z.ZodType>(stdout: string, schema: Schema): z.output<Schema> | null {
  const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1);
  for (const event of events(whole)) {
    const parsed = schema.safeParse(event);
    if (parsed.success) return parsed.data;
  }
  return null;
}

/** Starts the aggregator of a folder; port 0 takes a free one. */
export async function serve(
  cli: CommandLine,
  folder: string,
  port = 0,
  flags: readonly string[] = [],
): Promise<Serving> {
  const args = ['aggregator', 'serve', folder, '--port', String(port), '--json', ...flags];
  const process = cli.start(args, { DATABASE_URL: undefined });
  const { url } = await process.until('its address', ({ stdout }) => eventIn(stdout, listeningSchema));
  return { process, url };
}

/** Stops an aggregator as its operator would. */
export async function stop({ process }: Serving): Promise<void> {
  process.kill('SIGTERM');
  await process.ended;
}

/** Begins a run of the quickstart; its name. */
export async function startRun(
  cli: CommandLine,
  aggregator: string,
  overrides: readonly string[],
): Promise<string> {
  const { stdout } = await cli.run(['aggregator', 'start', aggregator, QUICKSTART, ...overrides, '--json']);
  return eventIn(stdout, z.object({ type: z.literal('run'), run: z.string() }))!.run;
}

/** Invitations to a run. */
export async function invite(
  cli: CommandLine,
  aggregator: string,
  run: string,
  count: number,
): Promise<string[]> {
  const { stdout } = await cli.run([
    'aggregator',
    'invite',
    aggregator,
    run,
    '--count',
    `${count}`,
    '--json',
  ]);
  const invitationSchema = z.object({ type: z.literal('invitation'), invitation: z.string() });
  return events(stdout).map((event) => invitationSchema.parse(event).invitation);
}

/** Makes a group's folder and joins; what a group does before its first round. */
export async function enrol(
  cli: CommandLine,
  folder: string,
  group: string,
  invitation: string,
  flags: readonly string[] = [],
): Promise<void> {
  await cli.run(['group', 'init', folder, '--answers', 'nonvoters', '--group', group, '--json']);
  await cli.run(['group', 'join', folder, invitation, '--json', ...flags]);
}

/** The same in this process, where what is shown is what comes after it; `via` stands in front of the aggregator. */
export async function enrolHere(folder: string, group: string, word: string, via?: string): Promise<void> {
  const invitation = decodeInvitation(word);
  const { run, aggregatorKey } = invitation;
  const url = via ?? invitation.url;
  const home = new GroupHome(folder);
  const identity = home.create(loadSurvey('nonvoters'), group);
  const { send: transport, close } = httpTransport({ url });
  const retry = retryWith({ patienceMs: 60_000 });
  const api = new AggregatorApi({ transport, identity, aggregatorKey, run, retry });
  const warn = () => undefined;
  const files = { ca: null, featuresPath: null };
  const known = { peers: null, leastGroups: 1 };
  await joinRun({ home, invitation: { ...invitation, url }, api, group, ...files, ...known, warn });
  close();
}

/** Takes part in all rounds. */
export function watch(cli: CommandLine, folder: string): Running {
  return cli.start(['group', 'watch', folder, '--device', 'cpu', '--json']);
}

/** Takes part in one round. */
export function takeRound(cli: CommandLine, folder: string): Running {
  return cli.start(['group', 'round', folder, '--device', 'cpu', '--json']);
}

/** How a run stands, as anybody can ask. */
export async function statusOf(url: string, run: string): Promise<RunStatus> {
  const answer = await fetch(`${url}/v1/runs/${run}`);
  return runStatusSchema.parse(await answer.json());
}

const eventSchema = z.object({
  type: z.string(),
  round: z.int().optional(),
  group: z.string().optional(),
  groups: z.int().optional(),
});
export type RunEvent = z.output<typeof eventSchema>;

/** One message of a stream of server-sent events; null for a comment or what is not whole. */
function messageOf(text: string): RunEvent | null {
  const type = /^event: (.*)$/m.exec(text)?.[1];
  const data = /^data: (.*)$/m.exec(text)?.[1];
  return type === undefined || data === undefined ? null : eventSchema.parse({ type, ...JSON.parse(data) });
}

/** All that happened in a run so far, from its event stream. */
export async function eventsOf(url: string, run: string): Promise<RunEvent[]> {
  const over = new AbortController();
  const answer = await fetch(`${url}/v1/runs/${run}/events`, {
    headers: { 'last-event-id': '0' },
    signal: over.signal,
  });
  // A run that is over has a last event; after it the stream is silent.
  let text = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (/^event: (finished|stopped)$/m.test(text)) break;
  }
  over.abort();
  return text.split('\n\n').flatMap((part) => messageOf(part) ?? []);
}

/** Asks how a run stands until something holds, for as long as the test may take. */
export async function untilStatus(
  ask: () => Promise<RunStatus>,
  holds: (status: RunStatus) => boolean,
): Promise<RunStatus> {
  for (;;) {
    const status = await ask();
    if (holds(status)) return status;
    // Two tests that wait at once stay below what one address may ask in a minute.
    await wait(300);
  }
}

/** The model file on a group's disk. */
export function modelOf(folder: string): Buffer {
  return readFileSync(join(folder, 'model.onnx'));
}

/** Where set, also the cases that a run of the tests leaves out for their length are played. */
export const EVERY_CASE = process.env['PLURALLLM_EVERY_DROPOUT'] === '1';

/** Where set, tests that take minutes are left out: they have run on another Node version. */
const AGAIN = process.env['PLURALLLM_E2E_ONCE'];
/** Whether to leave out the longest tests, and the words that say so in their names. */
export const LONG_TESTS = {
  skip: AGAIN !== undefined && AGAIN !== '',
  why: AGAIN === undefined || AGAIN === '' ? '' : ' (SKIPPED: PLURALLLM_E2E_ONCE is set)',
} as const;
