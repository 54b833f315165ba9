import type { Tone } from './methods.ts';

/** One colour for light paper and one for a dark screen; both reach 4.5 : 1 against their background. */
export interface Shade {
  readonly light: string;
  readonly dark: string;
}

/** The page's own colours. */
export const PAPER = {
  paper: { light: '#fdfcf9', dark: '#15171a' },
  raised: { light: '#f5f3ed', dark: '#1d2024' },
  ink: { light: '#1c1e21', dark: '#e8e6e1' },
  quiet: { light: '#5d6167', dark: '#a3a7ad' },
  line: { light: '#dcd8cf', dark: '#34383e' },
  bar: { light: '#4a90c4', dark: '#3a7db0' },
  faint: { light: '#ebe8e0', dark: '#272b30' },
} as const satisfies Readonly<Record<string, Shade>>;

/**
 * Colours of the methods: after Okabe and Ito's set for colour-blind readers, darkened or lightened until they
 * can also be read as text. Dashes and marks in `methods.ts` tell the lines apart without any colour.
 */
export const TONES: Readonly<Record<Tone, Shade>> = {
  federated: { light: '#0063a6', dark: '#5cb8f0' },
  centralised: { light: '#b34700', dark: '#f08c4f' },
  brief: { light: '#8a6400', dark: '#e3b23c' },
  local: { light: '#00745a', dark: '#2fc09a' },
  uniform: { light: '#6b6f76', dark: '#9ba0a8' },
  mean: { light: '#33373d', dark: '#d5d7da' },
  similar: { light: '#9c3a74', dark: '#e08fc0' },
  other: { light: '#5b4bb5', dark: '#a99df0' },
};

/** A colour as the style sheet knows it: follows the reader's light or dark preference. */
export function toneColour(tone: Tone): string {
  return `var(--tone-${tone})`;
}

/** The declarations of all custom properties in one mode. */
export function paletteRules(mode: keyof Shade): string {
  const paper = Object.entries(PAPER).map(([name, shade]) => `--${name}: ${shade[mode]};`);
  const tones = Object.entries(TONES).map(([name, shade]) => `--tone-${name}: ${shade[mode]};`);
  return [...paper, ...tones].join(' ');
}
