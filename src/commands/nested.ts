import { PluralError } from '../core/errors.ts';
import { type Command, defineCommand } from './command.ts';

/** What is typed where an action belongs, and is none. */
function unknownAction(verb: string, actions: readonly string[]): Command {
  return defineCommand({
    usage: '$0 [action] [rest..]',
    describe: false,
    lists: ['rest'],
    options: (parser) =>
      parser
        .positional('action', { type: 'string' })
        .positional('rest', { type: 'string', array: true, default: [] as string[] })
        .hide('action')
        .hide('rest'),
    run: async ({ action }) => {
      const hint = `Actions: ${actions.join(', ')}.`;
      if (action === undefined) throw new PluralError('USAGE', `${verb} needs an action`, { hint });
      throw new PluralError('USAGE', `there is no ${verb} action "${action}"`, { hint });
    },
  });
}

/** A verb that has verbs of its own. */
export function nestedCommand(verb: string, describe: string, commands: readonly Command[]): Command {
  const all = [
    ...commands,
    unknownAction(
      verb,
      commands.map((command) => command.verb),
    ),
  ];
  return {
    verb,
    register: (parser) =>
      parser.command(verb, describe, (inner) =>
        all.reduce((built, command) => command.register(built), inner as typeof parser),
      ),
  };
}
