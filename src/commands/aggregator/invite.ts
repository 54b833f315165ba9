import { PluralError } from '../../core/errors.ts';
import { encodeInvitation, type Invitation } from '../../wire/invitation.ts';
import { defineCommand } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { type Reached, reach, runNamed, withAggregator } from './reach.ts';

const DAY_MS = 86_400_000;

interface Wish {
  readonly run: string;
  readonly group: string | null;
  readonly count: number;
  readonly expiresInMs: number;
  readonly key: string | undefined;
  readonly keeper: boolean;
}

/** One token per invitation; none for a key that is on the allow-list. */
async function tokensFor({ api }: Reached, wish: Wish): Promise<(string | null)[]> {
  const { run, group, count, expiresInMs, key, keeper } = wish;
  if (keeper && (group !== null || key !== undefined)) {
    throw new PluralError('USAGE', '--keeper goes with neither --group nor --key: a keeper is no group', {
      hint: 'Example: pluralllm aggregator invite agg --keeper --count 3',
    });
  }
  const role = keeper ? 'keeper' : 'group';
  if (key === undefined) return (await api.invite(run, { group, count, expiresInMs, role })).tokens;
  if (group === null) {
    throw new PluralError('USAGE', '--key needs --group: a key on the allow-list has its group', {
      hint: 'Example: --group Kenya --key 3b6a...',
    });
  }
  await api.allow(run, group, key);
  return [null];
}

function show(terminal: Terminal, invitations: readonly Invitation[]): void {
  for (const invitation of invitations) {
    const word = encodeInvitation(invitation);
    terminal.event({ type: 'invitation', run: invitation.run, group: invitation.group, invitation: word });
    terminal.print(word);
  }
  if (invitations[0]?.role === 'keeper') {
    terminal.note('Each word admits one keeper, once. A keeper uses it like this:');
    terminal.note('  pluralllm keeper init vault && pluralllm keeper join vault <word>');
    return;
  }
  terminal.note('Each word admits one group, once. A group uses it like this:');
  terminal.note('  pluralllm group init mine --answers answers.csv && pluralllm group join mine <word>');
}

export const inviteCommand = defineCommand({
  usage: 'invite <aggregator> [run]',
  describe: 'make invitations, each for one group or one keeper',
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', describe: 'name of the run (default: the only one)' })
      .option('count', { type: 'number', default: 1, describe: 'how many' })
      .option('group', { type: 'string', describe: 'id that the group must take' })
      .option('key', {
        type: 'string',
        describe: 'public key of the group: it is put on the allow-list and needs no secret',
      })
      .option('keeper', {
        type: 'boolean',
        default: false,
        describe: 'invite keepers of a sharded run in place of groups',
      })
      .option('days', { type: 'number', default: 7, describe: 'how long they can be used' })
      .example('$0 aggregator invite agg --count 5', ''),
  run: async (flags, terminal) => {
    await reach(flags, async (reached) => {
      const run = await runNamed(reached.api, flags.run);
      const { group = null } = flags;
      const expiresInMs = Math.round(flags.days * DAY_MS);
      const tokens = await tokensFor(reached, {
        run,
        group,
        count: flags.count,
        expiresInMs,
        key: flags.key,
        keeper: flags.keeper,
      });
      const { publicKey: aggregatorKey } = await reached.api.aggregator();
      const url = reached.publicUrl;
      show(
        terminal,
        tokens.map((token) => ({
          ...{ url, run, aggregatorKey, token, group },
          ...(flags.keeper ? { role: 'keeper' as const } : {}),
        })),
      );
    });
  },
});
