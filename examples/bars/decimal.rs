//! Exact decimals at the speed of the input: 28 digits, never rounded in silence.

use highwater::BoxError;
use rust_decimal::Decimal;
use std::io::Write;

/// Reads `-12.50`, also with an exponent. The error is a reason without the place.
pub fn parse(text: &str) -> Result<Decimal, String> {
    if let Some(decimal) = parse_short(text.as_bytes()) {
        return Ok(decimal);
    }
    let exact = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text)
    } else {
        Decimal::from_str_exact(text)
    };
    exact.map_err(|error| match error {
        rust_decimal::Error::Underflow
        | rust_decimal::Error::ExceedsMaximumPossibleValue
        | rust_decimal::Error::LessThanMinimumPossibleValue
        | rust_decimal::Error::ScaleExceedsMaximumPrecision(_) => {
            format!("{text:?} has more digits than the 28 that are exact")
        }
        _ => format!("{text:?} is not a number"),
    })
}

/// Up to 19 digits fit an integer; nearly all prices and volumes do, and it takes a fraction of the time.
fn parse_short(text: &[u8]) -> Option<Decimal> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let (first, last) = (digits.first()?, digits.last()?);
    if digits.len() > 19 || !first.is_ascii_digit() || !last.is_ascii_digit() {
        return None;
    }
    let (mut value, mut point) = (0_u64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            // At most 19 digits, and 19 nines fit.
            b'0'..=b'9' => value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let scale = point.map_or(0, |at| digits.len() - at - 1);
    Some(Decimal::from_parts(value as u32, (value >> 32) as u32, 0, negative, scale as u32))
}

/// Appends all digits, trailing zeros included: a valid JSON number.
pub fn write(decimal: Decimal, out: &mut Vec<u8>) -> Result<(), BoxError> {
    let (mantissa, scale) = (decimal.mantissa(), decimal.scale() as usize);
    let Ok(mut rest) = u64::try_from(mantissa) else {
        return Ok(write!(out, "{decimal}")?);
    };
    let mut digits = [b'0'; 48];
    let mut at = digits.len();
    while rest > 0 || digits.len() - at <= scale + usize::from(scale > 0) {
        if scale > 0 && digits.len() - at == scale {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[at..]);
    Ok(())
}

/// A sum that keeps every digit of both, or an error.
pub fn add(sum: Decimal, more: Decimal) -> Result<Decimal, BoxError> {
    match sum.checked_add(more) {
        Some(exact) if exact.scale() >= sum.scale().max(more.scale()) => Ok(exact),
        _ => Err(format!("the sum of {sum} and {more} has more digits than the 28 that are exact").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(decimal: Decimal) -> String {
        let mut out = Vec::new();
        write(decimal, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_digit_is_kept() {
        for sample in [
            "0",
            "0.0",
            "0.10",
            "1",
            "10",
            "101.25",
            "-3.5",
            "9999999999999999999",
            "-9999999999999999.99",
            "0.00000000000000000001",
            "0.05",
            "100.00",
        ] {
            assert_eq!(text(parse(sample).unwrap()), sample);
        }
        assert_eq!(text(parse("79228162514264337593543950335").unwrap()), "79228162514264337593543950335");
        assert_eq!(text(parse("1.5e-3").unwrap()), "0.0015");
    }

    #[test]
    fn what_is_no_exact_number_has_a_reason() {
        for sample in ["", "-", ".", "abc", "1.2.3", "1,5", "0x10", "NaN", "inf", " 1", "1e", "--1"] {
            assert!(
                parse(sample).unwrap_err().contains("is not a number"),
                "{sample:?}: {:?}",
                parse(sample)
            );
        }
        for sample in [
            "79228162514264337593543950336",
            "0.00000000000000000000000000001",
            "1.00000000000000000000000000001",
        ] {
            assert!(parse(sample).unwrap_err().contains("28"), "{sample:?}: {:?}", parse(sample));
        }
    }

    #[test]
    fn a_sum_is_exact_or_an_error() {
        let sum = add(parse("0.1").unwrap(), parse("0.25").unwrap()).unwrap();
        assert_eq!(text(sum), "0.35");
        assert_eq!(text(add(Decimal::ZERO, parse("1.50").unwrap()).unwrap()), "1.50");
        let (large, small) = (parse("70000000000000000000000000000").unwrap(), parse("0.1").unwrap());
        assert!(add(large, small).unwrap_err().to_string().contains("more digits"));
        assert!(add(large, large).is_err());
    }

    proptest! {
        #[test]
        fn writes_and_reads_as_the_library(mantissa in any::<i64>(), scale in 0_u32..=20) {
            let decimal = Decimal::new(mantissa, scale);
            prop_assert_eq!(text(decimal), decimal.to_string());
            let read = parse(&decimal.to_string()).unwrap();
            prop_assert_eq!((read.mantissa(), read.scale()), (decimal.mantissa(), decimal.scale()));
        }
    }
}
