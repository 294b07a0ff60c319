export function mount(element, options) {
  return { read: () => ({}) };
}
