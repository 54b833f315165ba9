import { GroupHome } from '../../client/home.ts';
import { openTrusteeWork } from '../../client/trustee-work.ts';
import { defineCommand } from '../command.ts';
import { MEMBER_FOLDER, withFolder } from '../group/folder.ts';

export const statusCommand = defineCommand({
  usage: 'status <folder>',
  describe: 'what a member takes part in, and how far it is; asks nobody',
  options: (parser) => withFolder(parser, MEMBER_FOLDER).example('$0 committee status notary', ''),
  run: async ({ folder }, terminal) => {
    const home = new GroupHome(folder);
    const { publicKey } = home.identity();
    const membership = home.membershipOrNull();
    if (membership === null) {
      terminal.event({ type: 'member', folder, publicKey, run: null });
      terminal.print(`${folder}: in no run. Public key: ${publicKey}`);
      return;
    }
    const { run, group, url, definition } = membership;
    const { head, machine } = home.loadRecord();
    const { name, trustees } = openTrusteeWork(definition, group).protection;
    const round = head?.round ?? 0;
    terminal.event({
      type: 'member',
      folder,
      publicKey,
      run,
      group,
      url,
      protection: name,
      trustees,
      round,
      phase: machine.phase,
    });
    terminal.print(`"${group}" in run "${run}" of ${url}, protection "${name}"`);
    terminal.print(`Members without answers: ${trustees.join(', ')}`);
    terminal.print(`Newest model: of round ${round}. Public key: ${publicKey}`);
  },
});
