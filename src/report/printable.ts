const UNPRINTABLE = /(?![\t\n\r])[\p{Cc}\p{Cs}]/gu;

/**
 * Text that is safe to hand to a page or a terminal: control characters (escape sequences among them) and lone
 * surrogates become U+FFFD; tab and line breaks stay.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

/** Printable text on one line: every run of white space becomes one space. */
export function oneLine(text: string): string {
  return printable(text).replace(/\s+/gu, ' ').trim();
}

/** One line of at most `length` characters (code points), with an ellipsis where something was left out. */
export function shortened(text: string, length: number): string {
  const characters = [...oneLine(text)];
  return characters.length <= length
    ? characters.join('')
    : `${characters
        .slice(0, length - 1)
        .join('')
        .trimEnd()}…`;
}
