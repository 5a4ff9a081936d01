export default function build(): never {
  throw new Error('soon');
}
