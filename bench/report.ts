import type { BackingResults, Cell, Results, Row, StudyTable } from './results.ts';
import { formatNs, formatRatio } from './stats.ts';
import type { Target } from './workloads/workload.ts';

const TITLE_WIDTH = 50;
const CELL_WIDTH = 19;

const medianOf = (cell: Cell | undefined): number | undefined =>
  cell && 'medianNs' in cell ? cell.medianNs : undefined;

const ratioOf = (above: Cell | undefined, below: Cell | undefined): number | undefined => {
  const [a, b] = [medianOf(above), medianOf(below)];
  return a === undefined || b === undefined ? undefined : a / b;
};

const tableLine = (cells: readonly string[]): string =>
  `| ${cells.map((cell, i) => cell.padEnd(i === 0 ? TITLE_WIDTH : CELL_WIDTH)).join(' | ')} |`;

/** The table's first two lines. */
export function tableHead(results: BackingResults): string {
  const names = results.peers.map((name) => (name === 'plain' ? results.fileSystem : name));
  const head = tableLine(['work', ...names, 'byref / floor', 'target']);
  const rule = head.replace(/[^|]/g, '-');
  return `${head}\n${rule}`;
}

/**
 * One row: medians, and in brackets the ratio to the plain file system. "~" marks what was disturbed:
 * others dropped the kernel's caches during some of its samples.
 */
export function tableRow(results: BackingResults, row: Row): string {
  const cells = results.peers.map((name) => formatCell(row.cells[name], name, row));
  const toFloor = ratioOf(row.cells['byref'], row.cells['floor']);
  return tableLine([
    row.title,
    ...cells,
    toFloor === undefined ? '' : formatRatio(toFloor),
    formatTarget(row.target, row),
  ]);
}

function formatCell(cell: Cell | undefined, name: string, row: Row): string {
  const ns = medianOf(cell);
  if (ns === undefined) return cell ? 'failed' : '';
  const ratio = name === 'plain' ? undefined : ratioOf(cell, row.cells['plain']);
  const text = ratio === undefined ? formatNs(ns) : `${formatNs(ns)} (${formatRatio(ratio)})`;
  return cell && 'disturbed' in cell && cell.disturbed > 0 ? `${text} ~` : text;
}

function formatTarget(target: Target | undefined, row: Row): string {
  if (!target) return '';
  const { byref, plain, floor } = row.cells;
  const ns = medianOf(byref);
  const checks: [string, number | undefined, number][] = [];
  if (target.plain !== undefined) checks.push(['', ratioOf(byref, plain), target.plain]);
  if (target.floor !== undefined) checks.push([' x floor', ratioOf(byref, floor), target.floor]);
  if (target.ms !== undefined) {
    checks.push([' ms', ns === undefined ? undefined : ns / 1e6, target.ms]);
  }
  return checks.map(([unit, got, at]) => `<= ${at}${unit}${verdict(got, at)}`).join(', ');
}

const verdict = (got: number | undefined, target: number): string =>
  got === undefined ? '' : got <= target ? ': met' : ': missed';

export function studyTable(study: StudyTable): string {
  const widths = study.columns.map((column, i) =>
    Math.max(column.length, ...study.rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const head = line(study.columns);
  const lines = [head, head.replace(/[^|]/g, '-'), ...study.rows.map(line)];
  return `### ${study.title}\n\n${lines.join('\n')}\n`;
}

/** The whole run as a Markdown page. */
export function markdown(results: Results): string {
  const { machine } = results;
  const parts = [
    '# Benchmark results\n',
    `Linux ${machine.kernel}, ${machine.cpus}, ${machine.memoryGiB} GiB, Node ${machine.node}, ` +
      `commit ${machine.commit}, ${machine.date}. Medians; in brackets the ratio to the plain file ` +
      'system; "~": disturbed. What the rows mean: `bench/README.md`.\n',
  ];
  for (const backing of results.backings) {
    parts.push(`## Backing: ${backing.backing} (${backing.fileSystem})\n`);
    if (backing.rows.length) {
      const rows = backing.rows.map((row) => tableRow(backing, row));
      parts.push(`${[tableHead(backing), ...rows].join('\n')}\n`);
    }
    parts.push(...failures(backing), ...backing.studies.map(studyTable));
  }
  return parts.join('\n');
}

function failures(backing: BackingResults): string[] {
  const lines = backing.rows.flatMap((row) =>
    Object.entries(row.cells).flatMap(([peer, cell]) =>
      'error' in cell ? [`- ${row.name}, ${peer}: ${cell.error}`] : [],
    ),
  );
  return lines.length ? [`Failed:\n\n${lines.join('\n')}\n`] : [];
}
