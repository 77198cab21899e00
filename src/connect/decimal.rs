//! Decimal numbers of any size: Java's `BigDecimal`, as far as converters need it.
use std::fmt;

/// Digits beyond this are refused, so that a short text such as `1e999999999` takes no memory.
const DIGITS_MAX: usize = 10_000;

/// `unscaled × 10^-scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Decimal digits without leading zeros; `0` for zero.
    digits: String,
    scale: i32,
}

impl Decimal {
    /// From the big-endian two's complement form of the unscaled value; `None` when it is empty or
    /// too long.
    pub fn from_unscaled(bytes: &[u8], scale: i32) -> Option<Self> {
        let negative = bytes.first()? & 0x80 != 0;
        if bytes.len() > DIGITS_MAX / 3 {
            return None;
        }
        let mut magnitude = bytes.to_vec();
        if negative {
            negate(&mut magnitude);
        }
        let mut digits = Vec::new();
        while magnitude.iter().any(|byte| *byte != 0) {
            let mut rest = 0_u32;
            for byte in &mut magnitude {
                let part = (rest << 8) | u32::from(*byte);
                *byte = (part / 10) as u8;
                rest = part % 10;
            }
            digits.push(b'0' + rest as u8);
        }
        digits.reverse();
        if digits.is_empty() {
            digits.push(b'0');
        }
        Some(Self {
            negative,
            digits: String::from_utf8(digits).ok()?,
            scale,
        })
    }

    /// From text such as `-12.50` or `1E+3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || digits.len() > DIGITS_MAX {
            return None;
        }
        let digits = match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Some(Self {
            negative: negative && digits != "0",
            digits,
            scale,
        })
    }

    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The same number with more decimals; `None` when it would have to be rounded.
    pub fn with_scale(mut self, scale: i32) -> Option<Self> {
        while self.scale > scale && self.digits.ends_with('0') && self.digits.len() > 1 {
            self.digits.pop();
            self.scale -= 1;
        }
        if self.digits == "0" {
            self.scale = scale;
        }
        let more = usize::try_from(scale.checked_sub(self.scale)?).ok()?;
        if self.digits.len() + more > DIGITS_MAX {
            return None;
        }
        self.digits.extend(std::iter::repeat_n('0', more));
        self.scale = scale;
        Some(self)
    }

    /// The big-endian two's complement form of the unscaled value, as short as can be.
    pub fn unscaled(&self) -> Vec<u8> {
        let mut magnitude = vec![0_u8];
        for digit in self.digits.bytes() {
            let mut carry = u32::from(digit - b'0');
            for byte in magnitude.iter_mut().rev() {
                let part = u32::from(*byte) * 10 + carry;
                *byte = part as u8;
                carry = part >> 8;
            }
            if carry != 0 {
                magnitude.insert(0, carry as u8);
            }
        }
        magnitude.insert(0, 0);
        let sign = if self.negative {
            negate(&mut magnitude);
            0xff
        } else {
            0
        };
        // A byte that only repeats the sign says nothing.
        let spare = magnitude
            .windows(2)
            .take_while(
                |pair| matches!(pair, [first, next] if *first == sign && (next ^ sign) & 0x80 == 0),
            )
            .count();
        magnitude.split_off(spare)
    }

    /// Without an exponent, as `BigDecimal.toPlainString`.
    pub fn to_plain_string(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        match usize::try_from(self.scale) {
            Ok(0) => format!("{sign}{}", self.digits),
            Ok(scale) => {
                let digits = format!("{:0>width$}", self.digits, width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                format!("{sign}{whole}.{fraction}")
            }
            Err(_) if self.digits == "0" => "0".to_owned(),
            Err(_) => {
                let zeros = usize::try_from(self.scale.unsigned_abs()).unwrap_or(0);
                format!("{sign}{}{}", self.digits, "0".repeat(zeros))
            }
        }
    }
}

impl fmt::Display for Decimal {
    /// As `BigDecimal.toString`: with an exponent when the scale is negative or the number small.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adjusted = self.digits.len() as i64 - 1 - i64::from(self.scale);
        if self.scale >= 0 && adjusted >= -6 {
            return f.write_str(&self.to_plain_string());
        }
        let sign = if self.negative { "-" } else { "" };
        let (first, rest) = self.digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if adjusted > 0 { "+" } else { "" };
        write!(f, "{sign}{first}{point}{rest}")?;
        if adjusted != 0 {
            write!(f, "E{plus}{adjusted}")?;
        }
        Ok(())
    }
}

/// Two's complement.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
        *byte = sum;
        carry = overflow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_are_those_of_java() {
        for (text, bytes) in [
            ("123.45", vec![0x30, 0x39]),
            ("-1.00", vec![0x9c]),
            ("0.00", vec![0]),
            ("1.27", vec![0x7f]),
            ("1.28", vec![0, 0x80]),
            ("-1.28", vec![0x80]),
            ("-1.29", vec![0xff, 0x7f]),
            ("655.35", vec![0, 0xff, 0xff]),
            ("184467440737095516.16", vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let number = Decimal::parse(text).unwrap();
            assert_eq!(number.unscaled(), bytes, "{text}");
            assert_eq!(number.to_string(), text);
            assert_eq!(Decimal::from_unscaled(&bytes, 2).unwrap(), number);
        }
    }

    #[test]
    fn exponents_as_java_writes_them() {
        for (text, shown, plain) in [
            ("1E+3", "1E+3", "1000"),
            ("12e3", "1.2E+4", "12000"),
            ("0.0000001", "1E-7", "0.0000001"),
            ("0.000001", "0.000001", "0.000001"),
            ("-0", "0", "0"),
        ] {
            let number = Decimal::parse(text).unwrap();
            assert_eq!(number.to_string(), shown);
            assert_eq!(number.to_plain_string(), plain);
        }
        for bad in ["", "-", "1.2.3", "1e", "x", "1e99999999999"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn scales_change_without_rounding() {
        let scaled = |text, scale| Decimal::parse(text).unwrap().with_scale(scale);
        assert_eq!(scaled("1.5", 2).unwrap().to_string(), "1.50");
        assert_eq!(scaled("1.500", 1).unwrap().to_string(), "1.5");
        assert_eq!(scaled("1E+2", 1).unwrap().to_string(), "100.0");
        assert_eq!(scaled("1.55", 1), None);
        assert_eq!(scaled("0.000", 1).unwrap().to_string(), "0.0");
    }
}
