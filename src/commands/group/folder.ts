import type { Argv } from 'yargs';
import type { CommonFlags } from '../command.ts';

/** The positional that all group commands have. */
export function withFolder(parser: Argv<CommonFlags>) {
  return parser.positional('folder', {
    type: 'string',
    demandOption: true,
    describe: "the group's folder: its key, its answers, what it remembers",
  });
}
