import { GroupHome } from '../../client/home.ts';
import { PluralError } from '../../core/errors.ts';
import { defineCommand } from '../command.ts';
import { interruptible } from '../interrupt.ts';
import { connect } from './connect.ts';
import { withFolder } from './folder.ts';

const PATIENCE_MS = 15_000;
/** Answers that say that there is nothing to leave any more. */
const GONE: readonly string[] = ['KEY_UNKNOWN', 'KEY_REVOKED', 'AGGREGATOR_UNKNOWN_RUN'];

export const leaveCommand = defineCommand({
  usage: 'leave <folder>',
  describe: 'leave the run; what was sent stays in it, key and answers stay here',
  options: (parser) => withFolder(parser).example('$0 group leave mine', ''),
  run: async (flags, terminal) => {
    const home = new GroupHome(flags.folder);
    const release = home.lock();
    try {
      const membership = home.membership();
      const { signal } = interruptible();
      const options = { patienceMs: PATIENCE_MS, signal, terminal };
      const { api, close } = connect(home.identity(), membership, options);
      try {
        await api.leave();
      } catch (thrown) {
        if (!(thrown instanceof PluralError) || !GONE.includes(thrown.code)) throw thrown;
        terminal.note(`the aggregator says: ${thrown.message}`);
      } finally {
        close();
      }
      home.forget();
      const { run, group } = membership;
      terminal.event({ type: 'left', folder: flags.folder, run, group });
      terminal.print(`Group "${group}" has left run "${run}". Its key and its answers are still here.`);
    } finally {
      release();
    }
  },
});
