import type { PluralError } from '../core/errors.ts';

/** How a command talks: results to standard output, everything else to standard error. */
export interface Terminal {
  /** Machine-readable: one JSON object per line on standard output, nothing else. */
  readonly json: boolean;
  readonly quiet: boolean;
  /** Whether standard error is a terminal that lines can be redrawn on. */
  readonly interactive: boolean;
  /** Cells in a line of standard error. */
  readonly columns: number;
  /** Cells in a line of standard output; infinite where it is no terminal. */
  readonly width: number;
  /** The result of a command, for people. Silent under --json. */
  print(text: string): void;
  /** The same for machines. Silent without --json. */
  event(value: unknown): void;
  /** A remark on the way. Silent under --quiet and --json. */
  note(text: string): void;
  /** Redraws the last line; an empty text clears it. Only where `interactive`. */
  redraw(text: string): void;
}

export function openTerminal(flags: { readonly json: boolean; readonly quiet: boolean }): Terminal {
  const { json, quiet } = flags;
  const interactive = process.stderr.isTTY === true && !json && !quiet;
  let drawn = false;
  const clear = () => {
    if (drawn) process.stderr.write('\r\u001b[2K');
    drawn = false;
  };
  return {
    json,
    quiet,
    interactive,
    columns: process.stderr.columns ?? 80,
    width: process.stdout.columns ?? Number.POSITIVE_INFINITY,
    print: (text) => {
      clear();
      if (!json) process.stdout.write(`${text}\n`);
    },
    event: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (text) => {
      clear();
      if (!json && !quiet) process.stderr.write(`${text}\n`);
    },
    redraw: (text) => {
      clear();
      if (text !== '') process.stderr.write(text);
      drawn = text !== '';
    },
  };
}

/** An error as its user sees it: code, what is wrong, what to do. */
export function showError(error: PluralError, json: boolean): void {
  const { code, message, hint } = error;
  if (json) {
    process.stdout.write(`${JSON.stringify({ type: 'error', code, message, hint: hint ?? null })}\n`);
    return;
  }
  process.stderr.write(`error ${code}: ${message}\n`);
  if (hint !== undefined) process.stderr.write(`  ${hint}\n`);
  if (code === 'INTERNAL' && error.cause instanceof Error) process.stderr.write(`${error.cause.stack}\n`);
}
