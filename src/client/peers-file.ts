import { PluralError } from '../core/errors.ts';
import { publicKeySchema } from '../wire/identity.ts';
import { groupIdSchema } from '../wire/run-definition.ts';

/** One line for each group: its public key, and its name. */
const LINE = /^([0-9a-f]{64})\s+(\S.*)$/;

/**
 * Reads the keys of the groups that one accepts in a run, agreed upon without the aggregator: lines `<public key> <group>`, empty
 * lines and lines that begin with `#` are skipped. Errors: DATA_FORMAT, DATA_DUPLICATE.
 */
export function parsePeers(text: string, where: string): [group: string, publicKey: string][] {
  const peers = new Map<string, string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, key, group] = LINE.exec(line) ?? [];
    if (!publicKeySchema.safeParse(key).success || !groupIdSchema.safeParse(group).success) {
      throw new PluralError(
        'DATA_FORMAT',
        `${where}, line ${index + 1}: not a public key and the name of a group`,
        {
          hint: 'Each line: the key that "group init" printed (64 hex digits), a space, the name of the group in the run.',
        },
      );
    }
    if (peers.has(group!) || [...peers.values()].includes(key!)) {
      throw new PluralError(
        'DATA_DUPLICATE',
        `${where}, line ${index + 1}: this group or key was listed before`,
        {
          hint: 'Each group has one line and a key of its own.',
        },
      );
    }
    peers.set(group!, key!);
  }
  return [...peers];
}
