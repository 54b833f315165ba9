import { type Html, html } from '../markup.ts';
import { ranked, type SettingView } from './view.ts';

/** What is shown of every setting: in full of the best one, folded of the others, so that the page stays readable. */
export function folded(views: readonly SettingView[], draw: (view: SettingView) => Html): Html {
  const [best] = ranked(views);
  const others = views.filter((view) => view !== best);
  const rest = others.map(
    (view) => html`<details class="config"><summary>The same under ${view.name}</summary>
${draw(view)}</details>`,
  );
  return html`${best === undefined ? '' : draw(best)}
${rest}`;
}
