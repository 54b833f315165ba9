import { asStage, type Stage } from '../core/brand.ts';
import { printable } from './printable.ts';

/** A piece of a page in which all text from outside has been escaped. Only this file makes one. */
export type Html = Stage<'Html', { readonly source: string }>;

type Part = string | number | Html | readonly Html[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

function sourceOf(part: Part): string {
  if (typeof part === 'string') return escaped(part);
  if (typeof part === 'number') return String(part);
  return 'source' in part ? part.source : part.map(({ source }) => source).join('\n');
}

/** A template whose holes are escaped unless they are Html already; valid in text and in quoted attributes. */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const source = literals.reduce((text, literal, i) => `${text}${sourceOf(parts[i - 1] ?? '')}${literal}`);
  return asStage({ source });
}

/** Text of our own making taken as it is: the style sheet, and SVG that a serialiser has escaped. */
export function trusted(source: string): Html {
  return asStage({ source });
}

/** Nothing. */
export const EMPTY: Html = trusted('');
