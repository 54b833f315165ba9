import type { ArgumentsCamelCase, Argv } from 'yargs';
import { openTerminal, type Terminal } from './terminal.ts';

/** Flags that every command has. */
export interface CommonFlags {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** A verb of the command line, made by `defineCommand`. */
export interface Command {
  /** Hangs the verb into a yargs parser. */
  register(parser: Argv<CommonFlags>): Argv<CommonFlags>;
}

/** Declares a verb: its usage, its options, what it does. The handler's arguments are typed by its options. */
export function defineCommand<Options>(command: {
  /** Verb and positionals in yargs notation: `run <config> [overrides..]`. */
  readonly usage: string;
  readonly describe: string;
  readonly options: (parser: Argv<CommonFlags>) => Argv<Options & CommonFlags>;
  readonly run: (flags: ArgumentsCamelCase<Options & CommonFlags>, terminal: Terminal) => Promise<void>;
}): Command {
  return {
    register: (parser) =>
      parser.command(
        command.usage,
        command.describe,
        (inner) => command.options(inner as Argv<CommonFlags>),
        (flags) =>
          command.run(flags, openTerminal({ json: flags.json === true, quiet: flags.quiet === true })),
      ) as Argv<CommonFlags>,
  };
}
