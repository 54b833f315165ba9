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
}

/** One token per invitation; none for a key that is on the allow-list. */
async function tokensFor({ api }: Reached, wish: Wish): Promise<(string | null)[]> {
  const { run, group, count, expiresInMs, key } = wish;
  if (key === undefined) return (await api.invite(run, { group, count, expiresInMs })).tokens;
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
  terminal.note('Each word admits one group, once. A group uses it like this:');
  terminal.note('  pluralllm group init mine --answers answers.csv && pluralllm group join mine <word>');
}

export const inviteCommand = defineCommand({
  usage: 'invite <aggregator> [run]',
  describe: 'make invitations, each for one group',
  options: (parser) =>
    withAggregator(parser)
      .positional('run', { type: 'string', describe: 'name of the run (default: the only one)' })
      .option('count', { type: 'number', default: 1, describe: 'how many' })
      .option('group', { type: 'string', describe: 'id that the group must take' })
      .option('key', {
        type: 'string',
        describe: 'public key of the group: it is put on the allow-list and needs no secret',
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
      });
      const { publicKey: aggregatorKey } = await reached.api.aggregator();
      const url = reached.publicUrl;
      show(
        terminal,
        tokens.map((token) => ({ url, run, aggregatorKey, token, group })),
      );
    });
  },
});
