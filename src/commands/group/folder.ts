import type { Argv } from 'yargs';
import type { CommonFlags } from '../command.ts';

export const MEMBER_FOLDER = "the member's folder: its key, what it remembers";

/** The positional that all commands of a group, or of a committee's member, have. */
export function withFolder(
  parser: Argv<CommonFlags>,
  describe = "the group's folder: its key, its answers, what it remembers",
) {
  return parser.positional('folder', {
    type: 'string',
    demandOption: true,
    describe,
  });
}
