//! One sheet of the workbook: a cursor that goes down, and the few formats we use.

use crate::time::{Span, WallTime};
use jiff::tz::TimeZone;
use rust_xlsxwriter::{Color, ExcelDateTime, Format, FormatAlign, FormatBorder, IntoExcelData, Worksheet, XlsxError};

type Done = Result<(), XlsxError>;

pub(super) struct Formats {
    pub title: Format,
    pub head: Format,
    pub key: Format,
    /// Beside a key.
    pub left: Format,
    pub whole: Format,
    pub tenths: Format,
    pub hundredths: Format,
    /// Of the film.
    pub film_time: Format,
    pub clock: Format,
    pub wrapped: Format,
    /// Likewise, beside numbers.
    pub words: Format,
}

impl Formats {
    pub fn new() -> Self {
        let plain = || Format::new().set_align(FormatAlign::Top);
        let number = |code: &str| plain().set_num_format(code);
        let dark = Color::RGB(0x001F_3864);
        Formats {
            title: Format::new().set_bold().set_font_size(16).set_font_color(dark),
            head: Format::new()
                .set_bold()
                .set_font_color(Color::White)
                .set_background_color(dark)
                .set_align(FormatAlign::Center)
                .set_align(FormatAlign::VerticalCenter)
                .set_border_bottom(FormatBorder::Thin)
                .set_text_wrap(),
            key: Format::new().set_font_color(Color::RGB(0x0059_5959)),
            left: Format::new().set_align(FormatAlign::Left),
            whole: number("#,##0"),
            tenths: number("#,##0.0"),
            hundredths: number("0.00"),
            film_time: number("[h]:mm:ss.0"),
            clock: number("yyyy-mm-dd hh:mm:ss"),
            wrapped: plain().set_text_wrap(),
            words: plain().set_text_wrap().set_indent(1),
        }
    }
}

/// Rows are written from the top; `row` is the next one.
pub(super) struct Sheet<'a> {
    pub sheet: Worksheet,
    pub row: u32,
    formats: &'a Formats,
}

impl<'a> Sheet<'a> {
    pub fn named(name: &str, widths: &[f64], formats: &'a Formats) -> Result<Self, XlsxError> {
        let mut sheet = Worksheet::new();
        sheet.set_name(name)?.set_landscape().set_print_fit_to_pages(1, 0);
        for (column, width) in widths.iter().enumerate() {
            sheet.set_column_width(column as u16, *width)?;
        }
        Ok(Sheet { sheet, row: 0, formats })
    }
    pub fn title(&mut self, text: &str) -> Done {
        self.sheet.write_with_format(self.row, 0, text, &self.formats.title)?;
        self.row += 2;
        Ok(())
    }
    pub fn fact(&mut self, key: &str, value: impl IntoExcelData, format: &Format) -> Done {
        self.sheet.write_with_format(self.row, 0, key, &self.formats.key)?;
        self.sheet.write_with_format(self.row, 1, value, format)?;
        self.row += 1;
        Ok(())
    }
    pub fn head(&mut self, names: &[&str]) -> Done {
        for (column, name) in names.iter().enumerate() {
            self.sheet.write_with_format(self.row, column as u16, *name, &self.formats.head)?;
        }
        self.row += 1;
        Ok(())
    }
    /// The head of a sheet that is one table: stays in view, on paper as well, and can be filtered.
    pub fn frozen_head(&mut self, names: &[&str], rows: usize) -> Done {
        let head = self.row;
        self.head(names)?;
        self.sheet.set_freeze_panes(self.row, 0)?.set_repeat_rows(head, head)?;
        let last = head + u32::try_from(rows).unwrap_or(0);
        self.sheet.autofilter(head, 0, last, names.len().max(1) as u16 - 1)?;
        Ok(())
    }
    pub fn cell(&mut self, column: u16, value: impl IntoExcelData, format: &Format) -> Done {
        self.sheet.write_with_format(self.row, column, value, format)?;
        Ok(())
    }
    /// A cell that stays empty where there is no value.
    pub fn cell_if(&mut self, column: u16, value: Option<impl IntoExcelData>, format: &Format) -> Done {
        value.map_or(Ok(()), |value| self.cell(column, value, format))
    }
}

/// Excel counts in days.
pub(super) fn days(length: Span) -> f64 {
    length.secs_f64() / 86_400.0
}

/// Excel knows no time zones: the hands of the clock at that place.
pub(super) fn clock(at: WallTime, zone: &TimeZone) -> Option<ExcelDateTime> {
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone());
    let date = ExcelDateTime::from_ymd(at.year().try_into().ok()?, at.month() as u8, at.day() as u8).ok()?;
    date.and_hms(at.hour() as u16, at.minute() as u8, at.second() as u8).ok()
}
