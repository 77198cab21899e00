//! Numbers as Java's `String.format` prints them.
use crate::config::value::java_double;

/// `%.Nf`: the shortest decimal that means the number, rounded half up (C and Rust round the
/// binary value, which differs where the decimal ends in 5).
pub fn fixed(number: f64, decimals: usize) -> String {
    if !number.is_finite() {
        return java_double(number);
    }
    let shortest = number.abs().to_string();
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let up = fraction
        .as_bytes()
        .get(decimals)
        .is_some_and(|digit| *digit >= b'5');
    let kept = fraction.get(..decimals).unwrap_or(fraction);
    let mut digits = format!("{whole}{kept:0<decimals$}").into_bytes();
    if up {
        increment(&mut digits);
    }
    let point = digits.len() - decimals;
    let mut text = String::with_capacity(digits.len() + 2);
    text.push_str(sign);
    for (at, digit) in digits.into_iter().enumerate() {
        if at == point {
            text.push('.');
        }
        text.push(char::from(digit));
    }
    text
}

/// Adds one to a number written in decimal digits.
fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Java 17.
    #[test]
    fn decimals_are_rounded_half_up() {
        for (number, decimals, want) in [
            (0.125, 2, "0.13"),
            (0.35, 1, "0.4"),
            (2.5, 0, "3"),
            (1.005, 2, "1.01"),
            (99.99, 1, "100.0"),
            (0.0, 4, "0.0000"),
            (1e-9, 4, "0.0000"),
            (1234567.0, 6, "1234567.000000"),
            (-0.05, 1, "-0.1"),
            (12048.192771, 4, "12048.1928"),
            (f64::NAN, 2, "NaN"),
            (f64::INFINITY, 2, "Infinity"),
        ] {
            assert_eq!(fixed(number, decimals), want, "{number} {decimals}");
        }
    }
}
