/** Money as people read it. Amounts are in minor units, as ISO 4217 has them, which is not always how many are shown. */

/** Currencies whose minor unit is not a hundredth: gifting/model/currencies.py has the same; a test holds them together. */
const NONE = new Set("BIF CLP DJF GNF ISK JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF".split(" "));
const THREE = new Set("BHD IQD JOD KWD LYD OMR TND".split(" "));

/** Decimals of a currency's minor unit. @param {string} currency */
export function exponent(currency) {
  if (NONE.has(currency)) return 0;
  return THREE.has(currency) ? 3 : 2;
}

/**
 * 499, "USD" → "$4.99".
 * @param {number} amount in minor units
 * @param {string} currency
 */
export function money(amount, currency) {
  const digits = exponent(currency);
  const format = new Intl.NumberFormat("en", {
    style: "currency",
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    trailingZeroDisplay: "stripIfInteger",
  });
  return format.format(amount / 10 ** digits);
}

/** 1 Dec 2026, 14:05. @param {number} ms since 1970 */
export function moment(ms) {
  return new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
