/** The most programs in one list: the last writers are kept. */
const LIST_MAX = 4;
const TWO_26 = 2 ** 26;

/**
 * Lists of programs, each stored once: 100,000 files of one installer share a few lists. List 0 is empty. A list
 * has each program once, in the order of its last change.
 */
export class WriterLists {
  private readonly programs: string[] = [];
  private readonly programIds = new Map<string, number>();
  private readonly lists: (readonly number[])[] = [[]];
  private readonly listIds = new Map<string, number>([['', 0]]);
  /** Results that with() has already computed. */
  private readonly successors = new Map<number, number>();

  programId(name: string): number {
    const known = this.programIds.get(name);
    if (known !== undefined) return known;
    this.programIds.set(name, this.programs.length);
    return this.programs.push(name) - 1;
  }

  /** Returns the list that follows from `list` when `program` writes. */
  with(list: number, program: number): number {
    const step = list * TWO_26 + program;
    const known = this.successors.get(step);
    if (known !== undefined) return known;
    const others = this.lists[list]!.filter((each) => each !== program);
    const next = this.listId([...others, program].slice(-LIST_MAX));
    this.successors.set(step, next);
    return next;
  }

  nameOf(program: number): string {
    return this.programs[program]!;
  }

  /** Returns how many programs a list has. */
  length(list: number): number {
    return this.lists[list]!.length;
  }

  names(list: number): string[] {
    return this.lists[list]!.map((program) => this.programs[program]!);
  }

  private listId(programs: readonly number[]): number {
    const key = programs.join();
    const known = this.listIds.get(key);
    if (known !== undefined) return known;
    this.listIds.set(key, this.lists.length);
    return this.lists.push(programs) - 1;
  }
}
