import { describe, expect, it } from 'vitest';
import { PAPER, TONES } from '../../src/report/palette.ts';

/** Relative luminance of "#rrggbb" (WCAG 2). */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((start) => {
    const share = Number.parseInt(colour.slice(start, start + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

const MODES = ['light', 'dark'] as const;

describe.each(MODES)('%s palette', (mode) => {
  const paper = PAPER.paper[mode];

  it.each(Object.keys(TONES) as (keyof typeof TONES)[])('%s can be read as text', (tone) => {
    expect(contrast(TONES[tone][mode], paper)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(['ink', 'quiet'] as const)('%s can be read on paper and on raised ground', (name) => {
    expect(contrast(PAPER[name][mode], paper)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(PAPER[name][mode], PAPER.raised[mode])).toBeGreaterThanOrEqual(4.5);
  });

  it('bars stand out from the paper', () => {
    expect(contrast(PAPER.bar[mode], paper)).toBeGreaterThanOrEqual(3);
  });
});
