import fc from 'fast-check';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { html, trusted } from '../../src/report/markup.ts';
import { printable } from '../../src/report/printable.ts';

describe('html template', () => {
  it('escapes text and keeps Html', () => {
    const inner = html`<b>${'<&"\'>'}</b>`;
    expect(html`<p>${inner}${3}${[inner, inner]}</p>`.source).toBe(
      `<p>${inner.source}3${inner.source}\n${inner.source}</p>`,
    );
    expect(inner.source).toBe('<b>&lt;&amp;&quot;&#39;&gt;</b>');
  });

  it('takes trusted text as it is', () => {
    expect(html`${trusted('<i>')}`.source).toBe('<i>');
  });

  it('gives any text back, in content and in attributes, and makes no element of it', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('<script>', '"><svg onload=x>', '&lt;'),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        const { document } = parseHTML(html`<body><p title="${text}">${text}</p></body>`.source);
        const shown = printable(text);
        expect(document.querySelectorAll('body *')).toHaveLength(1);
        expect(document.querySelector('p')?.textContent).toBe(shown);
        expect(document.querySelector('p')?.getAttribute('title')).toBe(shown);
      }),
    );
  });
});
