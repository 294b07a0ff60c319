// Which key was meant: by what it writes where that is Latin or a digit, else by its place on the keyboard, so that
// Cyrillic, Arabic and French keyboards press N and 1 where they lie.

export function keyOf(event) {
  const {key = "", code = ""} = event;
  if ([...key].length !== 1) return key;
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)?.[1];
  if (digit && !event.shiftKey && !isAltGr(event) && !/[a-z]/i.test(key)) return digit;
  if (/[!-~]/.test(key)) return key.toLowerCase();
  const letter = /^Key([A-Z])$/.exec(code)?.[1];
  if (letter) return letter.toLowerCase();
  return {BracketLeft: "[", BracketRight: "]", Minus: "-", Equal: "="}[code] ?? key;
}

// AltGr writes a character; Windows says that Ctrl and Alt are down with it.
export const isAltGr = event => event.getModifierState?.("AltGraph") ?? false;
export const isCommand = event => (event.ctrlKey || event.metaKey) && !isAltGr(event);
