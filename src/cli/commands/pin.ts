import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { pinEnv } from '../../manager/rollout/pin.ts';
import { needTemplate } from '../../manager/rollout/target.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { parseTemplateRef } from '../../store/names.ts';
import { contextOf, defineWaiting, interruptible } from '../command.ts';
import { type DependenciesOption, dependenciesOption, policiesOf } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, dpkgWaitOption, exitFor } from '../dpkg-wait.ts';
import { interruption } from '../interruption.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

/** Defines the command `byref pin`. */
export default function build(): Command {
  const command = defineWaiting(
    'pin <env> <template>',
    'Keep an env at NAME@VERSION of a template, whatever is patched; at the version it sees now if NAME alone is given.',
  );
  return dependenciesOption(dpkgWaitOption(command)).action(
    async (envName: string, ref: string, options: DpkgWaitOption & DependenciesOption) => {
      const context = contextOf(options);
      const { name, version } = parseTemplateRef(ref);
      const { signal, release } = interruption();
      const record = await withStore(interruptible(context, signal), 'write', (store) => {
        const row = needPeoplesEnv(store, envName);
        const template = needTemplate(store, name);
        const seen = store.resolveStack(row).find(({ templateId }) => templateId === template.id);
        const at = version ?? seen?.version;
        if (at === undefined) {
          throw new ByrefError(
            'notFound',
            `${row.name} has no template ${name}`,
            `See byref info ${row.name}.`,
          );
        }
        return pinEnv(store, row, template, at, {
          signal,
          policies: policiesOf(options),
          ...dpkgWait(context, options),
        });
      }).finally(release);
      if (context.json) printJson(record);
      else
        printLines(...(record === null ? [`${envName}: pinned already`] : describePatch(record)));
      exitFor(record);
    },
  );
}
