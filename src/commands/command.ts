import type { ArgumentsCamelCase, Argv } from 'yargs';
import { PluralError } from '../core/errors.ts';
import { openTerminal, type Terminal } from './terminal.ts';

/** Flags that every command has. */
export interface CommonFlags {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** A verb of the command line, made by `defineCommand`. */
export interface Command {
  readonly verb: string;
  /** Hangs the verb into a yargs parser. */
  register(parser: Argv<CommonFlags>): Argv<CommonFlags>;
}

/** What yargs lets through: a flag given twice, without its value, or with a word for a number. */
function faultOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return 'is given more than once';
  if (value === '' || value === undefined) return 'needs a value';
  return typeof value === 'number' && Number.isNaN(value) ? 'takes a number' : undefined;
}

/** Errors: USAGE. */
function checkFlags(flags: Readonly<Record<string, unknown>>, lists: readonly string[]): void {
  for (const [name, value] of Object.entries(flags)) {
    // "_" holds the words that belong to no flag.
    if (name === '_' || lists.includes(name)) continue;
    const fault = faultOf(value);
    if (fault === undefined) continue;
    throw new PluralError('USAGE', `${name} ${fault}`, { hint: 'See "pluralllm <command> --help".' });
  }
}

/** Declares a verb: its usage, its options, what it does. The handler's arguments are typed by its options. */
export function defineCommand<Options>(command: {
  /** Verb and positionals in yargs notation: `run <config> [overrides..]`. */
  readonly usage: string;
  /** `false` keeps it out of the help text. */
  readonly describe: string | false;
  /** The options that may be given more than once; any other is refused then. */
  readonly lists?: readonly (keyof Options & string)[];
  readonly options: (parser: Argv<CommonFlags>) => Argv<Options & CommonFlags>;
  readonly run: (flags: ArgumentsCamelCase<Options & CommonFlags>, terminal: Terminal) => Promise<void>;
}): Command {
  const { usage, describe, lists = [] } = command;
  const run = async (flags: ArgumentsCamelCase<Options & CommonFlags>): Promise<void> => {
    checkFlags(flags, lists);
    await command.run(flags, openTerminal({ json: flags.json === true, quiet: flags.quiet === true }));
  };
  const options = (inner: Argv<CommonFlags>) => command.options(inner);
  return {
    verb: usage.split(' ')[0]!,
    register: (parser) =>
      // yargs has a signature for each kind of description.
      (describe === false
        ? parser.command(usage, describe, options, run)
        : parser.command(usage, describe, options, run)) as Argv<CommonFlags>,
  };
}
