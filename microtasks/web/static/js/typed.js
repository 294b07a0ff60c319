// What people type, in any script and on any keyboard: text without invisible characters, numbers, lists.
// core/parsing/typed.py says the same on the server; one table of cases (tests/cases/typed.json) holds for both.

const INVISIBLE =
  "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164" +
  "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufff8\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}";
const JOINING = "\\u200c\\u200d\\ufe00-\\ufe0f\\u{e0020}-\\u{e007f}\\u{e0100}-\\u{e01ef}";
const LOOSE = new RegExp(`(?<![\\u0590-\\u{10ffff}])[${JOINING}]+`, "gu");
const NEVER_SEEN = new RegExp(`(?![${JOINING}])[${INVISIBLE}]`, "gu");
const CONTROL = /\p{Cc}/gu;
const AT_AN_END = new RegExp(`(?:[${JOINING}]+(?=\\s|$))|(?<=\\s)[${JOINING}]+`, "gu");
const PARTING =
  /[,;\n\u055d\u060c\u061b\u07f8\u1363\u1364\u1802\u1808\u3001\uff0c\uff1b\ufe50\ufe51\ufe54\uff64]/;

export function clean(text, {lines = true} = {}) {
  const seen = text
    .replace(/\r\n?|\u2028/g, "\n")
    .normalize("NFC")
    .replace(CONTROL, c => (/[\t-\r]/.test(c) ? c : " "))
    .replace(NEVER_SEEN, "")
    .replace(LOOSE, "")
    .replace(AT_AN_END, "")
    .trim();
  return lines ? seen : seen.replace(/\s+/g, " ");
}

export const parts = text =>
  text
    .replace(/\r/g, "\n")
    .split(PARTING)
    .map(part => clean(part, {lines: false}))
    .filter(Boolean);

// Digits of one script stand in a row, ten of them from a zero: a digit's value is how many stand before it.
function digitOf(c) {
  const latin = c.normalize("NFKC"); // also of those that are letters' styles: bold, monospace
  if (/[0-9]/.test(latin)) return latin;
  let value = 0;
  for (let code = c.codePointAt(0); value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - 1)); code--)
    value++;
  return value;
}
const isGrouped = (digits, mark) =>
  (mark === "," ? /^[1-9][0-9]{0,2}(,[0-9]{3})+$/ : /^[1-9][0-9]{0,2}(\.[0-9]{3})+$/).test(digits);

function plain(digits, decimal) {
  const count = mark => digits.split(mark).length - 1;
  if (count("\u066b"))
    return count("\u066b") === 1 ? digits.replaceAll(",", "").replace("\u066b", ".") : null;
  const marks = [...digits].filter(c => ".,".includes(c)),
    last = marks.at(-1);
  if (!marks.length) return digits;
  if (new Set(marks).size === 2) {
    const other = last === "," ? "." : ",";
    const isWhole = count(last) === 1 && isGrouped(digits.split(last)[0], other);
    return isWhole ? digits.replaceAll(other, "").replace(last, ".") : null;
  }
  if (marks.length > 1) return isGrouped(digits, last) ? digits.replaceAll(last, "") : null;
  if (last !== decimal && isGrouped(digits, last)) return digits.replace(last, "");
  return digits.replace(last, ".");
}

// The number that was meant, or null.
export function readNumber(text, decimal = ".") {
  const latin = clean(text)
    .replace(/\p{Nd}/gu, digitOf)
    .replace(/[\u2212\u2012\u2013\ufe63\uff0d]/g, "-")
    .replace(/[\s'\u2019\u066c_]/g, "")
    .replace(/\uff0c/g, ",")
    .replace(/\uff0e/g, ".");
  const found = /^([+-]?)([0-9.,\u066b]*)(?:[eE]([+-]?[0-9]{1,3}))?$/.exec(latin);
  if (!found || !/[0-9]/.test(found[2])) return null;
  const digits = plain(found[2], decimal);
  if (digits === null) return null;
  const value = Number(`${found[1]}${digits}e${found[3] ?? 0}`);
  return Number.isFinite(value) ? value : null;
}
